// Small charts of a strategy: the course of a domain, ROC, histograms of scores, reliability.
const SMALL = { width: 240, height: 150, left: 34, right: 8, top: 8, bottom: 24 };

function small(words, ...children) {
  return drawn(
    "svg",
    { viewBox: `0 0 ${SMALL.width} ${SMALL.height}`, role: "img", "aria-label": words, class: "chart small" },
    ...children,
  );
}

function panel(title, chart) {
  return element("figure", { class: "panel" }, element("figcaption", {}, title), chart);
}

function horizontal(low, high) {
  return (value) => SMALL.left + ((value - low) / (high - low || 1)) * (SMALL.width - SMALL.left - SMALL.right);
}

function vertical(low, high) {
  return (value) =>
    SMALL.height - SMALL.bottom - ((value - low) / (high - low || 1)) * (SMALL.height - SMALL.top - SMALL.bottom);
}

function frameOf(x, y, xTicks, yTicks, digits = 1) {
  const [left, bottom] = [SMALL.left, SMALL.height - SMALL.bottom];
  return [
    ...yTicks.flatMap((tick) => [
      drawn("line", { class: "grid", x1: left, x2: SMALL.width - SMALL.right, y1: y(tick), y2: y(tick) }),
      drawn("text", { x: left - 4, y: y(tick) + 4, "text-anchor": "end" }, written(tick, digits)),
    ]),
    ...xTicks.map((tick) => drawn("text", { x: x(tick), y: bottom + 15, "text-anchor": "middle" }, written(tick, 1))),
  ];
}

function line(points, attributes) {
  const known = points.filter((point) => point[1] !== null && !Number.isNaN(point[1]));
  return drawn("polyline", {
    fill: "none",
    points: known.map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" "),
    ...attributes,
  });
}

// The metric on a domain after every step, beside the baseline; the domain is learned at the upright line.
function courseChart(place, domain) {
  const matrices = [place, baseline()].filter((each, at, all) => each >= 0 && all.indexOf(each) === at);
  const [low, high] = view().range;
  const count = DATA.domains.length;
  const x = horizontal(-1, count - 1);
  const y = vertical(low, high);
  const parts = frameOf(x, y, [], [low, high], 2);
  parts.push(drawn("line", { class: "learned", x1: x(domain), x2: x(domain), y1: SMALL.top, y2: SMALL.height - SMALL.bottom }));
  matrices.forEach((of, at) => {
    const course = view().matrices[of].map((step, row) => [row - 1, step[domain]]);
    if (at === 0) parts.push(band(course, x, y, low, high, DATA.strategies[of].colour));
    parts.push(
      line(
        course.map(([step, pair]) => [x(step), pair[0] === null ? null : y(pair[0])]),
        at === 0
          ? { stroke: DATA.strategies[of].colour, "stroke-width": 2.4 }
          : { stroke: "var(--ink)", "stroke-width": 1.3, "stroke-dasharray": "4 3" },
      ),
    );
  });
  parts.push(drawn("text", { x: x(-1), y: SMALL.height - 8 }, DATA.before));
  parts.push(drawn("text", { x: x(count - 1), y: SMALL.height - 8, "text-anchor": "end" }, "end"));
  const [learned, end] = [view().matrices[place][domain + 1][domain], view().matrices[place][count][domain]];
  const words = `${DATA.domains[domain]}: ${withHalf(learned)} when learned, ${withHalf(end)} at the end`;
  return panel(DATA.domains[domain], small(words, ...parts));
}

function band(course, x, y, low, high, colour) {
  const inside = (value) => Math.min(Math.max(value, low), high);
  const known = course.filter(([, pair]) => pair[0] !== null && pair[1] !== null);
  const upper = known.map(([step, pair]) => `${x(step)},${y(inside(pair[0] + pair[1]))}`);
  const lower = known.map(([step, pair]) => `${x(step)},${y(inside(pair[0] - pair[1]))}`).reverse();
  return drawn("polygon", { points: [...upper, ...lower].join(" "), fill: colour, class: "band" });
}

function rocChart(curves, domain, colour) {
  const x = horizontal(0, 1);
  const y = vertical(0, 1);
  const parts = frameOf(x, y, [0, 0.5, 1], [0, 0.5, 1]);
  for (const [when, attributes] of [
    ["then", { stroke: "var(--ink)", "stroke-width": 1.3, "stroke-dasharray": "4 3" }],
    ["now", { stroke: colour, "stroke-width": 2.4 }],
  ]) {
    const [alarms, found] = curves.roc[when];
    parts.push(line(alarms.map((alarm, at) => [x(alarm / 1000), y(found[at] / 1000)]), attributes));
  }
  return panel(domain, small(`${domain}: ROC right after learning and at the end; ${curves.words}`, ...parts));
}

// Reals upwards, fakes downwards: bars at the end, outlines right after learning, the thresholds of validation people.
function histogramChart(curves, domain) {
  const bins = curves.hist.now[0].length;
  const most = Math.max(1, ...curves.hist.then.flat(), ...curves.hist.now.flat());
  const x = horizontal(0, 1);
  const y = vertical(-most, most);
  const parts = frameOf(x, y, [0, 0.5, 1], []);
  [0, 1].forEach((label) => {
    const sign = label === 0 ? 1 : -1;
    curves.hist.now[label].forEach((count, bin) => {
      const height = Math.abs(y(count) - y(0));
      parts.push(
        drawn("rect", {
          class: label === 0 ? "real" : "fake",
          x: x(bin / bins) + 0.4,
          width: x(1 / bins) - x(0) - 0.8,
          y: label === 0 ? y(count) : y(0),
          height,
        }),
      );
    });
    const outline = curves.hist.then[label].flatMap((count, bin) => [
      [x(bin / bins), y(sign * count)],
      [x((bin + 1) / bins), y(sign * count)],
    ]);
    parts.push(line(outline, { stroke: "var(--ink)", "stroke-width": 1.1 }));
  });
  parts.push(drawn("line", { class: "zero", x1: x(0), x2: x(1), y1: y(0), y2: y(0) }));
  curves.thresholds.forEach((threshold, at) => {
    if (threshold === null) return;
    const attributes = { x1: x(threshold), x2: x(threshold), y1: SMALL.top, y2: SMALL.height - SMALL.bottom };
    parts.push(drawn("line", { class: "threshold", "stroke-dasharray": at === 0 ? "3 3" : null, ...attributes }));
  });
  parts.push(drawn("text", { x: 2, y: SMALL.top + 10 }, "reals"));
  parts.push(drawn("text", { x: 2, y: SMALL.height - SMALL.bottom - 2 }, "fakes"));
  return panel(domain, small(`${domain}: scores of reals and of fakes; ${curves.words}`, ...parts));
}

function reliabilityChart(bins, words, colour) {
  const x = horizontal(0, 1);
  const y = vertical(0, 1);
  const parts = frameOf(x, y, [0, 0.5, 1], [0, 0.5, 1]);
  const most = Math.max(1, ...bins.map((bin) => bin[2]));
  parts.push(line([[x(0), y(0)], [x(1), y(1)]], { stroke: "var(--soft)", "stroke-dasharray": "2 3" }));
  parts.push(line(bins.map((bin) => [x(bin[0]), y(bin[1])]), { stroke: colour, "stroke-width": 1.6 }));
  for (const [score, share, count] of bins) {
    parts.push(drawn("circle", { cx: x(score), cy: y(share), r: 1.5 + 4 * Math.sqrt(count / most), fill: colour }));
  }
  return panel("all domains, at the end", small(words, ...parts));
}
