// One strategy: its matrix, courses beside a baseline, curves then and now, missed fakes and false alarms, its cells.
function showStrategy() {
  const place = chosen();
  const strategy = DATA.strategies[place];
  byId("strategy-name").textContent = strategy.label;
  byId("strategy-words").textContent = strategy.words;
  options(byId("strategy-choice"), DATA.strategies.map((each) => each.label), strategy.label);
  const names = DATA.strategies.map((each) => each.label);
  options(byId("baseline-choice"), names, baseline() >= 0 ? DATA.strategies[baseline()].label : "");
  byId("strategy-matrix").replaceChildren(matrixTable(place));
  byId("strategy-courses").replaceChildren(...DATA.domains.map((_, domain) => courseChart(place, domain)));
  const curves = DATA.curves[state.level][place];
  byId("strategy-errors").replaceChildren(errorTable(curves));
  byId("strategy-rocs").replaceChildren(...perDomain(curves, (of, name) => rocChart(of, name, strategy.colour)));
  byId("strategy-scores").replaceChildren(...perDomain(curves, histogramChart));
  byId("strategy-reliability").replaceChildren(
    reliabilityChart(curves.reliability, curves.calibration, strategy.colour),
  );
  byId("strategy-cells").replaceChildren(cellTable(strategy));
}

function perDomain(curves, chart) {
  return DATA.domains.map((name, domain) => chart(curves.domains[domain], name)).filter(Boolean);
}

function options(select, names, selected) {
  select.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === selected }, name)));
  select.value = selected;
}

function matrixTable(place) {
  const head = element("tr", {}, element("th", { scope: "col" }, "after ↓ on →"));
  head.append(...DATA.domains.map((name) => element("th", { scope: "col", class: "n" }, name)));
  const [low, high] = view().range;
  const rows = view().matrices[place].map((step, row) => {
    const name = row === 0 ? DATA.before : DATA.domains[row - 1];
    const cells = step.map((pair, domain) => {
      const shade = pair[0] === null ? 0 : Math.min(Math.max((pair[0] - low) / (high - low || 1), 0), 1);
      const share = Math.round(100 * (view().higher ? shade : 1 - shade));
      const half = pair[1] === null ? null : element("small", {}, ` ±${written(pair[1])}`);
      const classes = `n heat${domain >= row ? " aside" : ""}`;
      return element("td", { class: classes, style: `--share: ${share}%` }, written(pair[0]), half);
    });
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  const caption = element("caption", {}, `${view().title}; in italics: not learned yet`);
  return element("table", { class: "matrix" }, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}

function errorTable(curves) {
  const titles = ["domain", "missed fakes, when learned", "at the end", "false alarms, when learned", "at the end"];
  const head = element("tr", {}, ...titles.map((title, at) => element("th", { scope: "col", class: at ? "n" : "" }, title)));
  const rows = DATA.domains.map((name, domain) => {
    const { missed, alarms } = curves.domains[domain];
    const cells = [...missed, ...alarms].map((pair) => numberCell(pair, { digits: 3 }));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  return element("table", {}, element("caption", {}, DATA.words.errors), element("thead", {}, head), element("tbody", {}, ...rows));
}

function cellTable(strategy) {
  const head = element("tr", {}, ...["seed", "cell", "folder"].map((title) => element("th", { scope: "col" }, title)));
  const rows = strategy.cells.map(([seed, id, folder]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(seed)),
      element("td", {}, element("code", {}, id)),
      element("td", {}, element("code", {}, folder)),
    ),
  );
  const caption = element("caption", {}, `Constants: ${strategy.constants}`);
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}
