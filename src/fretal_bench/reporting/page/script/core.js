// The page's data, elements and numbers, and the state that its address holds. Nothing here computes a statistic.
const DATA = JSON.parse(document.getElementById("data").textContent);
const VALUES = {
  metric: DATA.metrics.map((metric) => metric.key),
  level: DATA.levels,
  strategy: ["", ...DATA.strategies.map((strategy) => strategy.label)],
  baseline: ["", ...DATA.strategies.map((strategy) => strategy.label)],
  domain: ["", ...DATA.domains],
  faces: ["missed", "alarm", "back"],
  down: ["", "yes"],
};
const DEFAULTS = {
  metric: DATA.metric,
  level: DATA.level,
  strategy: "",
  baseline: "",
  sort: "",
  down: "",
  hide: "",
  filter: "",
  faces: "missed",
  domain: "",
};
const state = { ...DEFAULTS };
let opening = false;

function byId(id) {
  return document.getElementById(id);
}

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// A value halfway between two numbers becomes the even one, as in the suite's other tables; toFixed takes the larger.
function decimals(value, digits) {
  const halves = value * 2 ** (digits + 1);
  if (!Number.isInteger(halves) || halves % 2 === 0) return value.toFixed(digits);
  const below = Math.floor(value * 10 ** digits);
  return ((below + (below % 2)) / 10 ** digits).toFixed(digits);
}

function written(value, digits = 3, signed = false) {
  if (value === null || value === undefined) return "–";
  const text = decimals(Math.abs(value), digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

function withHalf(pair, digits = 3) {
  if (!pair || pair[0] === null) return "–";
  return written(pair[0], digits) + (pair[1] === null ? "" : ` ± ${written(pair[1], digits)}`);
}

// What the address says, as far as it names what there is; anything else is the default.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [key, normal] of Object.entries(DEFAULTS)) {
    const value = given.get(key);
    state[key] = value !== null && (!(key in VALUES) || VALUES[key].includes(value)) ? value : normal;
  }
  if (!view()) state.metric = DATA.metric;
}

function address(changes = {}) {
  const next = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...state, ...changes })) {
    if (value !== DEFAULTS[key]) next.set(key, value);
  }
  return `#${next}`;
}

// A change that a reader may want to take back is a step of the browser's history; typing is not.
function change(changes, { step = true } = {}) {
  Object.assign(state, changes);
  const place = address() === "#" ? location.pathname + location.search : address();
  history[step ? "pushState" : "replaceState"](null, "", place);
  show();
}

function view(metric = state.metric, level = state.level) {
  return DATA.views[`${metric}/${level}`];
}

function chosen() {
  const label = state.strategy || leader();
  return DATA.strategies.findIndex((strategy) => strategy.label === label);
}

function leader() {
  const ranked = view().ranked;
  return DATA.strategies[ranked.length ? ranked[0] : 0].label;
}

function baseline() {
  const label = state.baseline || DATA.baseline;
  return DATA.strategies.findIndex((strategy) => strategy.label === label);
}

// The strategies that are shown, as places in DATA.strategies.
function shown() {
  const hidden = state.hide.split(" ");
  const words = state.filter.toLowerCase().split(/[\s,]+/).filter(Boolean);
  return DATA.strategies
    .map((_, place) => place)
    .filter((place) => {
      const strategy = DATA.strategies[place];
      const name = strategy.label.toLowerCase();
      return !hidden.includes(strategy.kind) && (!words.length || words.some((word) => name.includes(word)));
    });
}

function mark(strategy, size = 12) {
  const icon = drawn("svg", { width: size, height: size, viewBox: "-6 -6 12 12", class: "mark", "aria-hidden": "true" });
  icon.append(markPath(strategy));
  return icon;
}

function markPath(strategy, scale = 1) {
  return drawn("path", {
    d: strategy.mark,
    transform: scale === 1 ? null : `scale(${scale})`,
    fill: strategy.kind === "bound" ? "var(--paper)" : strategy.colour,
    stroke: strategy.colour,
    "stroke-width": 1.6 / scale,
  });
}
