// Light or dark as Airflow's frame around the page is, from before the first paint on; by itself as the system is.
(() => {
  const own = document.documentElement;
  const frame = (() => {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // framed by another origin
    }
  })();
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    if (frame?.classList.contains("dark")) return "dark";
    if (frame?.classList.contains("light")) return "light";
    try {
      const kept = window.localStorage.getItem("theme");
      if (kept === "dark" || kept === "light") return kept;
    } catch {
      // no storage: as the system is
    }
    return system.matches ? "dark" : "light";
  };
  const follow = () => {
    const theme = chosen();
    if (own.dataset.theme === theme) return;
    own.dataset.theme = theme;
    window.dispatchEvent(new Event("theme"));
  };
  follow();
  if (frame) new MutationObserver(follow).observe(frame, { attributes: true, attributeFilter: ["class"] });
  system.addEventListener("change", follow);
  window.addEventListener("storage", follow);
})();
