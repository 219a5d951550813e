// Draws the page's figures in the theme's colours, keeps a live page up to date, leads out of Airflow's frame.
(() => {
  const script = document.currentScript;
  let plotly = null;

  const colour = (name) => {
    const [variable, alpha] = name.slice(4).split(")");
    const value = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    if (!alpha) return value;
    const share = Math.round(255 * Number(alpha.slice(1))).toString(16).padStart(2, "0");
    return value + share;
  };
  const coloured = (value) => {
    if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each)]));
    return value;
  };
  const axis = (given = {}) => ({
    gridcolor: colour("var(--border)"),
    linecolor: colour("var(--border)"),
    zerolinecolor: colour("var(--border)"),
    automargin: true,
    ...given,
  });
  const layout = (given) => ({
    autosize: true,
    margin: { l: 48, r: 16, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("var(--text)"), family: getComputedStyle(document.body).fontFamily, size: 12 },
    hoverlabel: { bgcolor: colour("var(--surface-2)"), font: { color: colour("var(--text)") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    ...given,
    xaxis: axis(given.xaxis),
    yaxis: axis(given.yaxis),
  });
  const load = () => {
    plotly ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = script.dataset.plotly;
      tag.onload = () => resolve(window.Plotly);
      tag.onerror = reject;
      document.head.append(tag);
    });
    return plotly;
  };
  const draw = async (figure) => {
    const canvas = figure.querySelector(".canvas");
    const given = coloured(JSON.parse(figure.querySelector("script").textContent));
    const Plotly = await load();
    await Plotly.react(canvas, given.data, layout(given.layout), { displayModeBar: false, responsive: true });
    canvas.dataset.drawn = "yes";
  };
  // Only what comes into sight is drawn: a page may hold dozens.
  const sight = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        sight.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "200px" },
  );

  const dress = (part) => {
    for (const figure of part.querySelectorAll("figure.plot")) {
      const canvas = figure.querySelector(".canvas");
      canvas.style.minHeight = `${canvas.dataset.height}px`;
      sight.observe(figure);
    }
    for (const bar of part.querySelectorAll("[data-share]")) bar.style.width = `${bar.dataset.share}%`;
    for (const later of part.querySelectorAll(".later")) fetchLater(later);
  };
  const parsed = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };
  const fetching = new Set();
  const fetchLater = async (later) => {
    const address = later.dataset.from;
    if (fetching.has(address)) return;
    fetching.add(address);
    try {
      const found = (await parsed(address)).getElementById("later");
      // The page may have been swapped meanwhile.
      const place = [...document.querySelectorAll("[data-from]")].find((each) => each.dataset.from === address);
      if (!place || place.contains(document.activeElement) || place.querySelector("details[open]")) return;
      place.replaceChildren(document.adoptNode(found));
      dress(place);
    } catch {
      // the link in it still leads there
    } finally {
      fetching.delete(address);
    }
  };

  // A live page is fetched again and swapped where it changed, but never under somebody's hands.
  const busy = () =>
    document.hidden || document.querySelector("main details[open]") || document.activeElement?.closest("form");
  const told = (main) => {
    const copy = main.cloneNode(true);
    for (const moving of copy.querySelectorAll("time, .canvas")) moving.replaceChildren();
    for (const moving of copy.querySelectorAll("[style]")) moving.removeAttribute("style");
    return copy.innerHTML;
  };
  // What the keyboard was at, and what had been read for the page, stay.
  const reachable = (main) => [...main.querySelectorAll("a[href], summary, button, input, select, textarea")];
  const named = (element) => element.getAttribute("href") ?? element.textContent;
  const carryOver = (old, fresh) => {
    const focused = document.activeElement;
    const alike = (main) => reachable(main).filter((each) => named(each) === named(focused));
    const same = alike(fresh)[alike(old).indexOf(focused)];
    for (const later of fresh.querySelectorAll(".later")) {
      const read = [...old.querySelectorAll("[data-from]")].find((each) => each.dataset.from === later.dataset.from);
      if (read?.querySelector("#later")) later.replaceChildren(...read.childNodes);
    }
    return same;
  };
  let before = null;
  const refresh = async () => {
    const main = document.getElementById("main");
    if (busy()) return;
    try {
      const fresh = document.adoptNode((await parsed(window.location.href)).getElementById("main"));
      const text = told(fresh);
      if (!fresh || busy()) return;
      if (text === before) {
        for (const later of main.querySelectorAll("[data-from]")) fetchLater(later);
        return;
      }
      before = text;
      const place = window.scrollY;
      const focused = carryOver(main, fresh);
      main.replaceWith(fresh);
      dress(fresh);
      focused?.focus({ preventScroll: true });
      window.scrollTo(0, place);
    } catch {
      // the server is away for a moment: the page stays as it is
    }
  };

  // Airflow's frame lets no link of ours leave it; a link of the frame's own page may.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.airflow");
    if (!link || window.parent === window) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    outer.href = link.href;
    if (event.ctrlKey || event.metaKey) outer.target = "_blank";
    window.parent.document.body.append(outer);
    outer.click();
    outer.remove();
  });
  window.addEventListener("theme", () => {
    for (const figure of document.querySelectorAll("figure.plot:has([data-drawn])")) draw(figure);
  });
  document.addEventListener("submit", (event) => {
    for (const field of event.target.querySelectorAll("[data-optional]")) field.disabled = !field.value;
    if (event.target.method === "post") for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  });

  const main = document.getElementById("main");
  before = told(main);
  dress(main);
  const seconds = Number(main.dataset.live);
  if (seconds) setInterval(refresh, 1000 * seconds);
})();
