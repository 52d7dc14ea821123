// What is pressed, and everything shown anew from the state.
function press(attribute, key) {
  for (const button of document.querySelectorAll(`button[data-${attribute}]`)) {
    button.addEventListener("click", () => change({ [key]: button.dataset[attribute] }));
  }
}

function showControls() {
  for (const key of ["metric", "level"]) {
    for (const button of document.querySelectorAll(`button[data-${key}]`)) {
      button.setAttribute("aria-pressed", String(button.dataset[key] === state[key]));
    }
  }
  for (const button of document.querySelectorAll("button[data-metric]")) {
    button.disabled = !view(button.dataset.metric, state.level);
  }
  const hidden = state.hide.split(" ");
  for (const button of document.querySelectorAll("button[data-kind]")) {
    button.setAttribute("aria-pressed", String(!hidden.includes(button.dataset.kind)));
  }
  if (byId("filter") !== document.activeElement) byId("filter").value = state.filter;
  byId("answer").textContent = view().sentence;
  byId("notes").hidden = !(state.metric === DATA.metric && state.level === DATA.level);
}

function show() {
  showControls();
  showLeaderboard();
  showTradeoff();
  showStrategy();
  showPairs();
  showFaces();
}

function toggled(kind) {
  const hidden = new Set(state.hide.split(" ").filter(Boolean));
  if (!hidden.delete(kind)) hidden.add(kind);
  return [...hidden].sort().join(" ");
}

async function copied(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    // Pages that are opened as files may not write there: then the text is selected.
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "selected";
  }
}

function begin() {
  document.documentElement.classList.add("live");
  press("metric", "metric");
  press("level", "level");
  press("faces", "faces");
  for (const button of document.querySelectorAll("button[data-kind]")) {
    button.addEventListener("click", () => change({ hide: toggled(button.dataset.kind) }));
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copied(button));
  }
  byId("filter").addEventListener("input", (event) => change({ filter: event.target.value }, { step: false }));
  byId("strategy-choice").addEventListener("change", (event) => change({ strategy: event.target.value }));
  byId("baseline-choice").addEventListener("change", (event) => change({ baseline: event.target.value }));
  if (byId("faces")) {
    byId("faces-strategy").addEventListener("change", (event) => change({ strategy: event.target.value }));
    byId("faces-domain").addEventListener("change", (event) =>
      change({ domain: event.target.value === "all domains" ? "" : event.target.value }),
    );
  }
  addEventListener("hashchange", arrive);
  addEventListener("popstate", arrive);
  readAddress();
  opening = state.strategy !== "";
  show();
  bringIntoView();
}

function bringIntoView() {
  if (opening) byId("strategy").scrollIntoView();
  opening = false;
}

// An address with "=" is a state of the page; one without is a place in it, which the browser goes to by itself.
function arrive() {
  if (location.hash && !location.hash.includes("=")) return;
  readAddress();
  show();
  bringIntoView();
}

begin();
