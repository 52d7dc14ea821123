// The leaderboard: sorted rows, ties of the leader shaded alike, a bar for every interval.
function columns() {
  return [...view().columns, ...DATA.cost];
}

function valueOf(column, place) {
  const values = column.key in view().values ? view().values[column.key] : DATA.costs[column.key];
  return values[place];
}

function sortedPlaces() {
  const places = shown();
  const column = columns().find((each) => each.key === state.sort);
  if (state.sort === "name") {
    places.sort((one, other) => DATA.strategies[one].label.localeCompare(DATA.strategies[other].label));
  } else {
    const by = column || columns()[0];
    const turned = by.better === "higher" ? -1 : 1;
    const number = (place) => {
      const pair = valueOf(by, place);
      // Who learned nothing forgets nothing either, and is not ranked.
      if (by.key === "forgets" && !view().ranked.includes(place)) return Infinity;
      return pair && pair[0] !== null ? turned * pair[0] : Infinity;
    };
    places.sort((one, other) => number(one) - number(other));
  }
  if (state.down) places.reverse();
  // Bounds are not ranked: they stand below, in whatever order.
  return [...places.filter((p) => !isBound(p)), ...places.filter(isBound)];
}

function isBound(place) {
  return DATA.strategies[place].kind === "bound";
}

function showLeaderboard() {
  const table = byId("leaderboard-table");
  const head = element("tr", {}, heading({ key: "name", title: "strategy", better: "" }, "strategy"));
  head.append(element("th", { scope: "col", class: "letters" }, element("abbr", { title: DATA.words.letters }, "ties")));
  for (const column of columns()) {
    head.append(heading(column, column.title));
    if (column.key === "forgets") head.append(element("th", { scope: "col", class: "bar" }, barAxis()));
  }
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...sortedPlaces().map(row));
  byId("leaderboard-caption").textContent = view().caption;
}

function heading(column, title) {
  const sorted = (state.sort || "forgets") === column.key;
  const arrow = { higher: " ↑", lower: " ↓", "": "" }[column.better];
  const turn = sorted ? (state.down ? " ▾" : " ▴") : "";
  const press = () => change({ sort: column.key, down: sorted && !state.down ? "yes" : "" });
  return element(
    "th",
    {
      scope: "col",
      class: column.key === "name" ? "name" : "n",
      "aria-sort": sorted ? (state.down ? "descending" : "ascending") : null,
    },
    element("button", { type: "button", "data-sort": column.key, onclick: press }, title + arrow + turn),
  );
}

function row(place) {
  const strategy = DATA.strategies[place];
  const classes = [strategy.kind === "bound" ? "apart" : "", view().tied[place] ? "tied" : ""];
  if (place === chosen()) classes.push("chosen");
  // A strategy that was opened is brought into view: on a phone it is many screens below.
  const link = element("a", { href: address({ strategy: strategy.label }), onclick: () => (opening = true) }, strategy.label);
  const name = element("th", { scope: "row", class: "name" }, mark(strategy), link);
  if (strategy.pill) name.append(" ", element("span", { class: "pill" }, strategy.pill));
  const line = element("tr", { class: classes.join(" ").trim(), "data-strategy": strategy.label }, name);
  line.append(element("td", { class: "letters" }, view().groups[place]));
  for (const column of columns()) {
    const pair = valueOf(column, place);
    line.append(numberCell(pair, column));
    if (column.key === "forgets") line.append(element("td", { class: "bar" }, intervalBar(place)));
  }
  return line;
}

function numberCell(pair, column) {
  if (!pair || pair[0] === null) return element("td", { class: "n" }, "–");
  const text = written(pair[0], column.digits);
  const half = pair[1] === null ? null : element("small", {}, ` ±${written(pair[1], column.digits)}`);
  return element("td", { class: "n" }, pair[2] ? element("strong", {}, text) : text, half);
}

// Positions of bars: the means and intervals of all strategies that are shown, cut where one is far wider.
function barScale() {
  const [low, high] = view().reach;
  return (value) => (100 * (Math.min(Math.max(value, low), high) - low)) / (high - low || 1);
}

function barAxis() {
  const [low, high] = view().reach;
  return element(
    "span",
    { class: "ends" },
    element("span", {}, written(low, 2)),
    element("span", {}, written(high, 2)),
  );
}

function intervalBar(place) {
  const [mean, half] = view().values.forgets[place] || [null, null];
  const box = drawn("svg", { class: "interval", viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (mean === null) return box;
  const at = barScale();
  box.append(drawn("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: 14 }));
  if (half !== null) {
    box.append(drawn("line", { class: "reach", x1: at(mean - half), x2: at(mean + half), y1: 7, y2: 7 }));
  }
  box.append(drawn("line", { class: "mean", x1: at(mean), x2: at(mean), y1: 2, y2: 12 }));
  return box;
}
