// Every pair: row minus column in what is forgotten, bold where it is told apart with the correction for all pairs.
function showPairs() {
  const ranked = view().compared.filter((place) => shown().includes(place));
  const section = byId("pairs");
  section.hidden = view().pairs.length === 0;
  if (section.hidden) return;
  const pairs = new Map();
  for (const pair of view().pairs) {
    pairs.set(`${pair[0]} ${pair[1]}`, pair);
    pairs.set(`${pair[1]} ${pair[0]}`, turned(pair));
  }
  const widest = Math.max(...view().pairs.map((pair) => Math.abs(pair[2] ?? 0)), 1e-9);
  const head = element("tr", {}, element("td"));
  for (const place of ranked) {
    head.append(element("th", { scope: "col", class: "turned" }, element("span", {}, DATA.strategies[place].label)));
  }
  const rows = ranked.map((first) => {
    const line = element("tr", {}, element("th", { scope: "row", class: "name" }, DATA.strategies[first].label));
    for (const second of ranked) {
      line.append(first === second ? element("td", { class: "same" }) : pairCell(pairs.get(`${first} ${second}`), widest));
    }
    return line;
  });
  const table = element("table", { class: "pairs", onkeydown: walk }, element("thead", {}, head), element("tbody", {}, ...rows));
  table.setAttribute("aria-labelledby", "pairs-heading");
  const entry = table.querySelector("td[tabindex]");
  if (entry) entry.tabIndex = 0;
  byId("pairs-table").replaceChildren(table);
  byId("pairs-caption").textContent = view().pairsCaption;
  byId("pairs-words").textContent = "";
}

function turned(pair) {
  const [first, second, mean, low, high, ...rest] = pair;
  const minus = (value) => (value === null ? null : -value);
  return [second, first, minus(mean), minus(high), minus(low), ...rest];
}

function pairCell(pair, widest) {
  if (!pair) return element("td");
  const [first, second, mean, low, high, p, told, alike] = pair;
  const names = [first, second].map((place) => DATA.strategies[place].label);
  const interval = low === null ? "" : ` [${written(low, 3, true)}, ${written(high, 3, true)}]`;
  const known = told ? "told apart" : alike ? DATA.words.alike : "not told apart";
  const words = `${names[0]} minus ${names[1]}: ${written(mean, 3, true)}${interval}, p ${written(p, 3)} (Holm): ${known}`;
  const tell = () => (byId("pairs-words").textContent = words);
  const text = mean === null ? "–" : written(mean, 2, true).replace("0.", ".");
  const share = Math.round((85 * Math.abs(mean ?? 0)) / widest);
  return element(
    "td",
    {
      class: `${mean < 0 ? "less" : "more"}${told ? " told" : ""}`,
      style: `--share: ${share}%`,
      tabindex: -1,
      "aria-label": words,
      onmouseenter: tell,
      onfocus: tell,
    },
    told ? element("strong", {}, text) : text,
  );
}

// Arrow keys walk from cell to cell: one stop for the tabulator, not one a pair.
function walk(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const cell = event.target.closest("td");
  if (!steps || !cell) return;
  const body = cell.closest("tbody");
  let [line, column] = [cell.parentElement.sectionRowIndex + steps[0], cell.cellIndex + steps[1]];
  // Over the diagonal, which holds nothing.
  if (line === column - 1) [line, column] = [line + steps[0], column + steps[1]];
  const next = body.rows[line] && body.rows[line].cells[column];
  if (!next || next.tagName !== "TD") return;
  event.preventDefault();
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
