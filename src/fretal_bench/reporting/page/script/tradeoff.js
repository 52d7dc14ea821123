// Forgetting against learning: one mark a strategy, intervals as crosses, read by mouse and by keyboard.
const FRAME = { width: 760, height: 440, left: 52, right: 16, top: 14, bottom: 44 };

function showTradeoff() {
  if (!byId("tradeoff-plot")) return;
  // On a phone the plot is as wide as the screen, and its words stay as large as elsewhere.
  FRAME.width = Math.min(760, Math.max(340, byId("tradeoff-plot").clientWidth || 760));
  FRAME.height = Math.max(320, Math.round(0.58 * FRAME.width));
  const places = shown().filter((place) => has("forgets", place) && has("learning", place));
  const x = scale(places.map((place) => view().values.forgets[place]), FRAME.left, FRAME.width - FRAME.right, true);
  const y = scale(places.map((place) => view().values.learning[place]), FRAME.height - FRAME.bottom, FRAME.top, false);
  const plot = drawn("svg", {
    viewBox: `0 0 ${FRAME.width} ${FRAME.height}`,
    role: "group",
    "aria-label": view().alt,
    class: "chart",
  });
  plot.append(...axes(x, y));
  const points = places.map((place) => ({
    place,
    x: x.at(view().values.forgets[place][0]),
    y: y.at(view().values.learning[place][0]),
  }));
  for (const point of points) plot.append(cross(point, x, y));
  const boxes = points.map((point) => [point.x - 6, point.y - 6, point.x + 6, point.y + 6]);
  for (const point of points) plot.append(...[pointMark(point), nameOf(point, boxes)].filter(Boolean));
  byId("tradeoff-plot").replaceChildren(plot, element("p", { class: "tip", role: "status", hidden: true }));
}

function has(key, place) {
  const pair = view().values[key] && view().values[key][place];
  return Boolean(pair) && pair[0] !== null;
}

// Round ticks over the means and their intervals; of many strategies over half of what the intervals add, since the widest
// would press all marks together.
function scale(pairs, from, to, withZero) {
  const means = pairs.map((pair) => pair[0]);
  const reach = (sign) => Math.max(...pairs.map(([mean, half]) => sign * mean + (half || 0)));
  const share = pairs.length > 8 ? 0.5 : 1;
  const lowest = Math.min(...means);
  const highest = Math.max(...means);
  const low = Math.min(lowest - share * (lowest + reach(-1)), ...(withZero ? [0] : []));
  const high = highest + share * (reach(1) - highest);
  const margin = 0.04 * (high - low || 0.1);
  const ends = [low - margin, high + margin];
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((each) => (ends[1] - ends[0]) / each <= 7) || 10;
  const ticks = [];
  for (let tick = Math.ceil(ends[0] / step) * step; tick <= ends[1] + 1e-9; tick += step) ticks.push(tick);
  const at = (value) => from + ((value - ends[0]) / (ends[1] - ends[0])) * (to - from);
  return { at, ticks, digits: step < 0.1 ? 2 : 1, ends };
}

function axes(x, y) {
  const bottom = FRAME.height - FRAME.bottom;
  const lines = y.ticks.flatMap((tick) => [
    drawn("line", { class: "grid", x1: FRAME.left, x2: FRAME.width - FRAME.right, y1: y.at(tick), y2: y.at(tick) }),
    drawn("text", { x: FRAME.left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, written(tick, y.digits)),
  ]);
  const upright = x.ticks.flatMap((tick) => [
    drawn("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: FRAME.top, y2: bottom }),
    drawn("text", { x: x.at(tick), y: bottom + 16, "text-anchor": "middle" }, written(tick, x.digits)),
  ]);
  return [
    ...lines,
    ...upright,
    drawn("text", { x: FRAME.width - FRAME.right, y: FRAME.height - 8, "text-anchor": "end" }, view().axes[0]),
    drawn("text", { x: FRAME.left, y: FRAME.top - 2, class: "axis" }, view().axes[1]),
  ];
}

function cross(point, x, y) {
  const group = drawn("g", { class: "cross", stroke: DATA.strategies[point.place].colour, "data-cross": point.place });
  const [forgets, learning] = [view().values.forgets[point.place], view().values.learning[point.place]];
  const inside = (value, axis) => Math.min(Math.max(value, axis.ends[0]), axis.ends[1]);
  if (forgets[1] !== null) {
    const ends = [forgets[0] - forgets[1], forgets[0] + forgets[1]].map((end) => x.at(inside(end, x)));
    group.append(drawn("line", { x1: ends[0], x2: ends[1], y1: point.y, y2: point.y }));
  }
  if (learning[1] !== null) {
    const ends = [learning[0] - learning[1], learning[0] + learning[1]].map((end) => y.at(inside(end, y)));
    group.append(drawn("line", { x1: point.x, x2: point.x, y1: ends[0], y2: ends[1] }));
  }
  if (point.place === chosen()) group.classList.add("chosen");
  return group;
}

function pointMark(point) {
  const strategy = DATA.strategies[point.place];
  const words = `${strategy.label}, forgetting ${withHalf(view().values.forgets[point.place])}, learning ${withHalf(view().values.learning[point.place])}`;
  const open = () => change({ strategy: strategy.label });
  const group = drawn("g", {
    class: "point",
    tabindex: 0,
    role: "button",
    "aria-label": words,
    "data-strategy": strategy.label,
    transform: `translate(${point.x} ${point.y})`,
    onclick: open,
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open();
      }
    },
    onmouseenter: () => tell(point, words),
    onfocus: () => tell(point, words),
    onmouseleave: hush,
    onblur: hush,
  });
  group.append(drawn("circle", { r: 11, class: "target" }), markPath(strategy, 1.1));
  return group;
}

function tell(point, words) {
  const tip = byId("tradeoff-plot").querySelector(".tip");
  tip.textContent = words;
  tip.hidden = false;
  const right = point.x > FRAME.width / 2;
  tip.style.left = right ? "auto" : `${(100 * point.x) / FRAME.width}%`;
  tip.style.right = right ? `${100 - (100 * point.x) / FRAME.width}%` : "auto";
  tip.style.top = `${(100 * (point.y + 14)) / FRAME.height}%`;
  for (const group of byId("tradeoff-plot").querySelectorAll("[data-cross]")) {
    group.classList.toggle("lit", group.dataset.cross === String(point.place));
  }
}

function hush() {
  byId("tradeoff-plot").querySelector(".tip").hidden = true;
  for (const group of byId("tradeoff-plot").querySelectorAll(".lit")) group.classList.remove("lit");
}

// The first place around a mark where a name hides neither a mark nor another name, off its own intervals if it can be;
// where there is none, no name.
function nameOf(point, boxes) {
  const { label } = DATA.strategies[point.place];
  const width = 6.4 * label.length;
  const sides = [
    [8, -8, "start"],
    [-8, -8, "end"],
    [8, 15, "start"],
    [-8, 15, "end"],
    [9, 4, "start"],
    [-9, 4, "end"],
    [0, -10, "middle"],
    [0, 19, "middle"],
  ];
  for (const [dx, dy, anchor] of sides) {
    const left = point.x + dx - { start: 0, middle: width / 2, end: width }[anchor];
    const box = [left, point.y + dy - 10, left + width, point.y + dy + 3];
    const inside = box[0] > FRAME.left && box[2] < FRAME.width && box[1] > FRAME.top && box[3] < FRAME.height - FRAME.bottom;
    if (inside && !boxes.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) {
      boxes.push(box);
      const attributes = { x: point.x + dx, y: point.y + dy, "text-anchor": anchor, class: "label" };
      return drawn("text", attributes, label);
    }
  }
  return null;
}
