"use strict";
const themes = JSON.parse(document.getElementById("themes").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
// The bundle's expressions are interpreted: the page forbids eval.
const options = { ast: true, renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } };

function draw(figure) {
  const place = figure.querySelector(".chart");
  const specification = JSON.parse(figure.querySelector("script").textContent);
  const width = figure.clientWidth;
  specification.config = structuredClone(dark.matches ? themes.dark : themes.light);
  specification.config.background = "transparent";
  specification.config.legend.columns = Math.max(1, Math.floor(width / Number(place.dataset.legend)));
  const axis = specification.config.axis;
  axis.labelLimit = Math.min(axis.labelLimit, 0.5 * width);
  if (place.dataset.panel) {
    // Less what the axis on the left takes.
    const fitting = Math.max(1, Math.floor((width - 55) / Number(place.dataset.panel)));
    specification.columns = Math.min(specification.columns, fitting);
  }
  return vegaEmbed(place, specification, options).catch((error) => {
    place.textContent = `This chart could not be drawn: ${error.message}`;
    place.classList.add("failed");
  });
}

// Width of each figure as it was drawn: a phone that scrolls resizes in height alone.
const widths = new Map();
function drawAll(anew) {
  for (const figure of document.querySelectorAll("figure")) {
    if (anew || widths.get(figure) !== figure.clientWidth) {
      widths.set(figure, figure.clientWidth);
      draw(figure);
    }
  }
}

dark.addEventListener("change", () => drawAll(true));
let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => drawAll(false), 200);
});
drawAll(true);
