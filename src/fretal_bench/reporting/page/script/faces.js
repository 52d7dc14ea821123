// The faces that a strategy forgot, or won back, on a domain.
function showFaces() {
  const section = byId("faces");
  if (!section) return;
  const of = DATA.faces;
  const label = DATA.strategies[chosen()].label;
  options(byId("faces-strategy"), DATA.strategies.map((each) => each.label), label);
  options(byId("faces-domain"), ["all domains", ...of.domains], state.domain || "all domains");
  for (const button of byId("faces-kinds").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.faces === state.faces));
  }
  const all = of.of[chosen()].filter(
    (face) => face.kind === state.faces && (!state.domain || of.domains[face.domain] === state.domain),
  );
  byId("faces-count").textContent = countWords(all, label);
  byId("faces-list").replaceChildren(...all.map(faceFigure));
}

function countWords(all, label) {
  const what = DATA.words[`faces_${state.faces}`];
  const where = state.domain ? ` on ${state.domain}` : "";
  const frames = DATA.faces.counts[chosen()]
    .filter((_, domain) => !state.domain || DATA.faces.domains[domain] === state.domain)
    .map((counts) => counts[state.faces])
    .reduce((sum, count) => sum + count, 0);
  if (!frames) return `${label}: no ${what}${where}.`;
  return `${label}: ${frames} frames, ${what}${where}; shown: ${all.length}, one of a video, the largest change first.`;
}

function faceFigure(face) {
  const picture = DATA.faces.pictures[face.picture];
  const kind = face.fake ? "fake" : "real";
  const words = `${kind}, ${face.name}: P(fake) ${written(face.then, 2)} when learned, ${written(face.now, 2)} at the end`;
  const box = picture
    ? element("img", { src: `data:image/jpeg;base64,${picture}`, alt: words, width: 72, height: 72 })
    : element("span", { class: "nobody", role: "img", "aria-label": words }, kind);
  return element(
    "figure",
    { class: `face ${kind}` },
    box,
    element(
      "figcaption",
      {},
      element("span", {}, `${kind} · ${face.name}`),
      element("span", {}, `${written(face.then, 2)} → `, element("strong", {}, written(face.now, 2))),
      element("span", { class: "soft" }, `${DATA.faces.domains[face.domain]}, ${face.seeds}`),
    ),
  );
}
