/*! Charts brought to life by Vega, https://vega.github.io (BSD-3-Clause), and D3, https://d3js.org (ISC).

Vega: Copyright (c) 2015-2023, University of Washington Interactive Data Lab. All rights reserved.
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met: 1. Redistributions of source code must retain the above copyright notice, this list of
conditions and the following disclaimer. 2. Redistributions in binary form must reproduce the above copyright notice,
this list of conditions and the following disclaimer in the documentation and/or other materials provided with the
distribution. 3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
promote products derived from this software without specific prior written permission. THIS SOFTWARE IS PROVIDED BY THE
COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR
BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
(INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.

D3: Copyright 2010-2023 Mike Bostock. Permission to use, copy, modify, and/or distribute this software for any purpose
with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all
copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING
ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE. */
(() => {
  "use strict";
  const NUMERIC = new Set(["linear", "log", "pow", "sqrt", "symlog"]);
  const NEAR = 26, STEP = 1.6, SMALLEST_DRAG = 6, DEEPEST = 1e6;

  // Which axes can be zoomed, and signals that hold what part of them is shown.
  function prepare(spec) {
    const names = (spec.scales ?? [])
      .filter(s => (s.name === "x" || s.name === "y") && NUMERIC.has(s.type ?? "linear") && !s.domainRaw)
      .filter(s => (spec.axes ?? []).some(a => a.scale === s.name))
      .map(s => s.name);
    spec.signals = [...(spec.signals ?? []), { name: "zoomed", value: false },
      ...names.map(n => ({ name: "shown_" + n, value: null }))];
    for (const s of spec.scales ?? []) if (names.includes(s.name)) s.domainRaw = { signal: "shown_" + s.name };
    // Marks stay within the plot while only a part of it is shown; labels that hang on no zoomed axis are left alone.
    (function clip(marks) {
      for (const m of marks ?? []) {
        if (m.type === "group") clip(m.marks);
        else if (names.some(n => JSON.stringify(m.encode ?? {}).includes(`"scale":"${n}"`))) m.clip = { signal: "zoomed" };
      }
    })(spec.marks);
    return names;
  }

  // Every mark that says something, with its place in the plot.
  function points(view, zoomed) {
    const found = [], width = view.width(), height = view.height();
    (function visit(mark, x, y) {
      for (const item of mark.items ?? []) {
        if (mark.marktype === "group") {
          for (const inner of item.items ?? []) visit(inner, x + (item.x ?? 0), y + (item.y ?? 0));
        } else if (mark.role === "mark" && item.datum?.tip && item.description) {
          const b = item.bounds, at = { x: x + (b.x1 + b.x2) / 2, y: y + (b.y1 + b.y2) / 2, tip: String(item.datum.tip) };
          at.w = (b.x2 - b.x1) / 2; at.h = (b.y2 - b.y1) / 2;
          const inside = at.x >= -1 && at.x <= width + 1 && at.y >= -1 && at.y <= height + 1;
          if (!zoomed || inside) found.push(at);
        }
      }
    })(view.scenegraph().root, 0, 0);
    return found.sort((a, b) => a.x - b.x || a.y - b.y);
  }

  // Vega numbers clips anew in every chart, a page knows one element of each name.
  let charts = 0;
  function ownClips(svg, prefix) {
    for (const clip of svg.querySelectorAll("clipPath")) if (!clip.id.startsWith(prefix)) clip.id = prefix + clip.id;
    for (const mark of svg.querySelectorAll("[clip-path]")) {
      mark.setAttribute("clip-path", mark.getAttribute("clip-path").replace("#clip", `#${prefix}clip`));
    }
  }

  function box(host, name) {
    const made = document.createElement("div");
    made.className = name;
    made.hidden = true;
    host.append(made);
    return made;
  }

  // Puts a live chart into `host`, an empty element; `alt` says it in words.
  window.mmauditLive = async function (host, spec, alt, leave) {
    const names = prepare(spec);
    const stage = document.createElement("div");
    stage.className = "stage";
    stage.setAttribute("aria-hidden", "true");
    host.append(stage);
    const view = await window.mmauditVega(spec, stage);
    const svg = stage.querySelector("svg"), plot = svg.querySelector("g");
    // As the drawing did, the live chart takes the width that its place has.
    svg.setAttribute("viewBox", svg.getAttribute("viewBox") ?? `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    const tip = box(host, "tip"), ring = box(host, "ring"), drag = box(host, "drag");
    const spoken = document.createElement("p");
    spoken.className = "sr";
    spoken.setAttribute("aria-live", "polite");
    host.append(spoken);
    const zoomHelp = names.length ? " Plus and minus zoom, 0 shows everything." : "";
    host.tabIndex = 0;
    host.setAttribute("role", "application");
    host.setAttribute("aria-label", `${alt} Arrow keys read the points one by one.${zoomHelp} Escape goes back to the drawing.`);

    const prefix = `live${++charts}-`;
    ownClips(svg, prefix);
    let all = null, at = -1, zoomed = false;
    const listed = () => (all ??= points(view, zoomed));
    const inPlot = e => new DOMPoint(e.clientX, e.clientY).matrixTransform(plot.getScreenCTM().inverse());
    const inHost = (x, y) => {
      const p = new DOMPoint(x, y).matrixTransform(plot.getScreenCTM()), r = host.getBoundingClientRect();
      return [p.x - r.left, p.y - r.top];
    };

    function hide() { tip.hidden = ring.hidden = true; at = -1; }
    function show(i, aloud) {
      const p = listed()[i];
      if (!p) return hide();
      at = i;
      const [x, y] = inHost(p.x, p.y), wide = host.clientWidth;
      ring.hidden = tip.hidden = false;
      ring.style.left = `${x}px`; ring.style.top = `${y}px`;
      tip.textContent = p.tip;
      tip.style.left = "0px"; tip.style.top = "0px";
      const w = tip.offsetWidth, h = tip.offsetHeight;
      tip.style.left = `${Math.max(Math.min(x - w / 2, wide - w), Math.min(0, wide - w))}px`;
      tip.style.top = `${y - h - 12 < -8 ? y + 14 : y - h - 12}px`;
      if (aloud) spoken.textContent = p.tip;
    }
    function nearest(p) {
      let best = -1, least = NEAR;
      listed().forEach((q, i) => {
        // Large marks (cells, bars) are met anywhere on them.
        const far = Math.hypot(Math.max(Math.abs(q.x - p.x) - q.w, 0), Math.max(Math.abs(q.y - p.y) - q.h, 0))
          + 1e-3 * Math.hypot(q.x - p.x, q.y - p.y);
        if (far < least) { least = far; best = i; }
      });
      return best;
    }

    async function part(domains) {
      for (const n of names) if (n in domains) view.signal("shown_" + n, domains[n]);
      zoomed = names.some(n => view.signal("shown_" + n) !== null);
      view.signal("zoomed", zoomed);
      hide();
      await view.runAsync();
      ownClips(svg, prefix);
      all = null;
    }
    const ends = n => (n === "x" ? [0, view.width()] : [view.height(), 0]);
    const whole = {};
    for (const n of names) whole[n] = view.scale(n).domain().map(Number);
    function span(n, a, b) {
      const s = view.scale(n), got = [s.invert(a), s.invert(b)].map(Number);
      const least = Math.abs(whole[n].at(-1) - whole[n][0]) / DEEPEST;
      return got.every(Number.isFinite) && Math.abs(got[1] - got[0]) > least ? got : view.scale(n).domain();
    }
    const zoom = (factor, p) => part(Object.fromEntries(names.map(n => {
      const [a, b] = ends(n), c = p ? p[n] : (a + b) / 2;
      return [n, span(n, c + (a - c) / factor, c + (b - c) / factor)];
    })));
    const pan = (dx, dy) => part(Object.fromEntries(names.map(n => {
      const [a, b] = ends(n), d = (n === "x" ? dx * view.width() : dy * view.height());
      return [n, span(n, a + d, b + d)];
    })));
    const reset = () => part(Object.fromEntries(names.map(n => [n, null])));

    host.addEventListener("keydown", e => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key], n = listed().length;
      const move = { ArrowRight: [.2, 0], ArrowLeft: [-.2, 0], ArrowUp: [0, -.2], ArrowDown: [0, .2] }[e.key];
      if (e.key === "Escape") leave();
      else if (move && e.shiftKey && zoomed) pan(...move);
      else if (step && n) show(at < 0 ? (step > 0 ? 0 : n - 1) : (at + step + n) % n, true);
      else if (e.key === "Home" && n) show(0, true);
      else if (e.key === "End" && n) show(n - 1, true);
      else if ((e.key === "+" || e.key === "=") && names.length) zoom(STEP);
      else if (e.key === "-" && names.length) zoom(1 / STEP);
      else if (e.key === "0" && names.length) reset();
      else return;
      e.preventDefault();
    });
    host.addEventListener("blur", hide);
    // The wheel turns the page until the chart has been chosen by a click or the keyboard.
    host.addEventListener("wheel", e => {
      if (!names.length || !(document.activeElement === host || e.ctrlKey)) return;
      e.preventDefault();
      zoom(e.deltaY < 0 ? 1.25 : 0.8, inPlot(e));
    }, { passive: false });
    host.addEventListener("dblclick", () => names.length && reset());

    let from = null;
    host.addEventListener("pointerdown", e => {
      if (e.button !== 0 || e.pointerType === "touch" || !names.length) return;
      from = { x: e.clientX, y: e.clientY, p: inPlot(e) };
    });
    host.addEventListener("pointermove", e => {
      if (!from) return show(nearest(inPlot(e)), false);
      const r = host.getBoundingClientRect();
      hide();
      if (drag.hidden) host.setPointerCapture(e.pointerId);
      drag.hidden = false;
      const across = names.includes("x"), along = names.includes("y");
      drag.style.left = `${across ? Math.min(from.x, e.clientX) - r.left : 0}px`;
      drag.style.width = `${across ? Math.abs(e.clientX - from.x) : r.width}px`;
      drag.style.top = `${along ? Math.min(from.y, e.clientY) - r.top : 0}px`;
      drag.style.height = `${along ? Math.abs(e.clientY - from.y) : r.height}px`;
      e.preventDefault();
    });
    host.addEventListener("pointerup", e => {
      if (!from) return e.pointerType === "touch" ? show(nearest(inPlot(e)), false) : undefined;
      const start = from.p, end = inPlot(e), moved = { x: Math.abs(e.clientX - from.x), y: Math.abs(e.clientY - from.y) };
      from = null;
      drag.hidden = true;
      const chosen = names.filter(n => moved[n] >= SMALLEST_DRAG);
      const within = (n, v) => Math.max(0, Math.min(v, n === "x" ? view.width() : view.height()));
      if (chosen.length) part(Object.fromEntries(chosen.map(n => {
        const [a, b] = [within(n, start[n]), within(n, end[n])].sort((u, v) => u - v);
        return [n, n === "x" ? span(n, a, b) : span(n, b, a)];
      })));
    });
    host.addEventListener("pointercancel", () => { from = null; drag.hidden = true; });
    // A finger that is lifted leaves, too; what it pointed at stays to be read.
    host.addEventListener("pointerleave", e => { if (!from && e.pointerType !== "touch") hide(); });
    return { zoom, reset, zooms: names.length > 0, close: () => { view.finalize(); host.remove(); } };
  };
})();
