(() => {
  "use strict";
  const $ = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [k, v] of Object.entries(attributes)) made.setAttribute(k, v);
    return made;
  };
  const button = (text, label, act) => {
    const made = $("button", text, { type: "button", ...(label ? { "aria-label": label } : {}) });
    made.addEventListener("click", act);
    return made;
  };

  // ---- commands can be copied
  for (const code of document.querySelectorAll("code.copy")) {
    const said = $("span", "", { class: "sr", role: "status" });
    const made = button("Copy", "Copy the command", async () => {
      try { await navigator.clipboard.writeText(code.textContent); }
      catch {
        // Without the clipboard's leave (a page from disk in some browsers) the old way still works.
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      said.textContent = "Copied";
      made.textContent = "Copied";
      setTimeout(() => { made.textContent = "Copy"; said.textContent = ""; }, 1500);
    });
    made.className = "do";
    code.after(made, said);
  }

  // ---- tables can be sorted and filtered
  const LEAST_TO_SORT = 4, LEAST_TO_FILTER = 12;
  const NUMBER = /^[<>≤≥≈\s]*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i;
  function value(cell) {
    // Footnote letters and intervals are no part of the number.
    const text = [...cell.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();
    const plain = text.replace(/[\u00a0\u202f\u2009]/g, "").replace(/\u2212/g, "-");
    const found = NUMBER.exec(plain);
    return { text: cell.textContent.trim().toLowerCase(), number: found ? Number(found[1]) - (plain[0] === "<" ? 1e-9 : 0) : NaN };
  }
  function sortable(table) {
    const body = table.tBodies[0], heads = [...(table.tHead?.rows[0]?.cells ?? [])], rows = [...(body?.rows ?? [])];
    if (table.dataset.ready || table.classList.contains("evidence") || rows.length < LEAST_TO_SORT) return;
    table.dataset.ready = "1";
    heads.forEach((head, i) => {
      const title = head.textContent;
      const made = $("button", title, { type: "button", class: "sort" });
      head.replaceChildren(made);
      made.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort"), next = now === "ascending" ? "descending" : now === "descending" ? "" : "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1, numeric = !head.classList.contains("l") && i > 0;
        const keyed = rows.map((row, k) => ({ row, k, v: value(row.cells[i]) }));
        if (next) keyed.sort((a, b) => {
          if (!numeric) return sign * a.v.text.localeCompare(b.v.text, "en", { numeric: true }) || a.k - b.k;
          const left = isNaN(a.v.number), right = isNaN(b.v.number);
          // What has no value stands last, whichever way the others go.
          return left || right ? left - right || a.k - b.k : sign * (a.v.number - b.v.number) || a.k - b.k;
        });
        body.append(...keyed.map(e => e.row));
      });
    });
    if (rows.length < LEAST_TO_FILTER) return;
    const name = table.caption?.textContent ?? "this table";
    const field = $("input", "", { type: "search", "aria-label": `Filter ${name}`, placeholder: "filter rows, e.g. blur 5/5", autocomplete: "off", spellcheck: "false" });
    const said = $("span", `${rows.length} rows`, { role: "status" });
    const texts = rows.map(row => row.textContent.toLowerCase());
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      rows.forEach((row, i) => { row.hidden = !words.every(w => texts[i].includes(w)); left += !row.hidden; });
      said.textContent = words.length ? `${left} of ${rows.length} rows` : `${rows.length} rows`;
    });
    const bar = $("p", "", { class: "filter" });
    bar.append(field, said);
    table.closest(".scroll").before(bar);
  }
  const offer = within => { for (const table of within.querySelectorAll(".scroll > table")) if (!table.closest("details:not([open])")) sortable(table); };
  offer(document);
  document.addEventListener("toggle", e => { if (e.target.open) offer(e.target); }, true);

  // ---- paper gets everything
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const d of opened) d.open = true;
    for (const row of document.querySelectorAll("tr[hidden]")) row.hidden = false;
    for (const field of document.querySelectorAll(".filter input")) if (field.value) { field.value = ""; field.dispatchEvent(new Event("input")); }
  });
  addEventListener("afterprint", () => { for (const d of opened) d.open = false; opened = []; });

  // ---- drawings come to life
  const bundle = document.getElementById("live-bundle"), charts = document.getElementById("live-charts");
  if (!bundle || !charts || typeof DecompressionStream === "undefined") return;
  async function unpack(element) {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), c => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }
  let ready;
  const load = () => (ready ??= Promise.all([unpack(bundle), unpack(charts)]).then(([code, specs]) => {
    document.head.append($("script", code));
    if (!window.mmauditLive) throw new Error("the chart library did not start");
    return JSON.parse(specs);
  }));

  for (const figure of document.querySelectorAll("figure")) {
    const draws = [...figure.querySelectorAll("[data-live]")], caption = figure.querySelector("figcaption");
    if (!draws.length || !caption) continue;
    const title = caption.querySelector("h3")?.textContent ?? "chart";
    const live = new Map();
    let active = null;
    const said = $("span", "", { role: "status" });
    const each = act => { for (const [draw, chart] of live) if (!active || active === draw) act(chart); };
    const explore = button("Explore", `Explore: ${title}`, start);
    const zooming = [
      button("+", "Zoom in", () => each(c => c.zoom(1.6))),
      button("−", "Zoom out", () => each(c => c.zoom(1 / 1.6))),
      button("Show all", `Show all of ${title}`, () => { active = null; each(c => c.reset()); }),
    ];
    const back = button("Back to the drawing", `Back to the drawing of ${title}`, stop);
    const bar = $("div", "", { class: "tools", role: "group", "aria-label": `Tools of ${title}` });
    for (const b of [...zooming, back]) b.hidden = true;
    bar.append(explore, ...zooming, back, said);
    caption.append(bar);

    async function bring() {
      const specs = await load();
      for (const draw of draws) {
        if (live.has(draw) || !draw.offsetParent || !(draw.dataset.live in specs)) continue;
        const svg = draw.querySelector("svg"), host = $("div", "", { class: "live" });
        draw.append(host);
        // A copy: what is prepared for one view is not used again.
        const chart = await window.mmauditLive(host, structuredClone(specs[draw.dataset.live]), svg.getAttribute("aria-label"), stop);
        draw.classList.add("is-live");
        for (const event of ["focusin", "pointerdown"]) host.addEventListener(event, () => { active = draw; });
        live.set(draw, { ...chart, host });
      }
      const zooms = [...live.values()].some(c => c.zooms);
      for (const b of zooming) b.hidden = !zooms;
      const mouse = matchMedia("(pointer: fine)").matches;
      said.textContent = `${mouse ? "Point at" : "Tap"} the marks to read them${zooms && mouse ? "; drag over a part to zoom in" : ""}.`;
    }
    async function start() {
      explore.disabled = true;
      said.textContent = "Getting ready…";
      try {
        await bring();
        explore.hidden = true;
        back.hidden = false;
        [...live.values()][0]?.host.focus({ preventScroll: true });
      } catch (error) {
        for (const chart of live.values()) chart.close?.();
        said.textContent = `This browser cannot do it (${error.message}); the drawing says the same.`;
      }
      explore.disabled = false;
    }
    function stop() {
      for (const [draw, chart] of live) { chart.close(); draw.classList.remove("is-live"); }
      live.clear();
      active = null;
      for (const b of [...zooming, back]) b.hidden = true;
      explore.hidden = false;
      said.textContent = "";
      explore.focus({ preventScroll: true });
    }
    figure.addEventListener("toggle", e => { if (e.target.open && live.size) bring(); }, true);
  }
})();
