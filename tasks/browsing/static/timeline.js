// Arousal, dominance and valence by second, drawn by uPlot; a click seeks.
const LOOKS = {
  arousal: { colour: "--red", dash: [] },
  dominance: { colour: "--green", dash: [8, 4] },
  valence: { colour: "--blue", dash: [2, 3] },
};
const HEIGHT = 220;

function colours(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function values(data) {
  const last = data.seconds.length - 1;
  const seconds = [...data.seconds, data.seconds[last] + 1];
  const rows = Object.values(data.vad).map((row) => [...row, row[last]]);
  return [seconds, ...rows];
}

function options(element, data) {
  const axis = {
    stroke: colours("--soft"),
    grid: { stroke: colours("--rule"), width: 1 },
    ticks: { stroke: colours("--rule"), width: 1 },
  };
  const lines = Object.keys(data.vad).map((name) => ({
    label: name,
    stroke: colours(LOOKS[name].colour),
    dash: LOOKS[name].dash,
    width: 2,
    paths: uPlot.paths.stepped({ align: 1 }),
    points: { show: false },
    value: (_, value) => (value == null ? "-" : value.toFixed(2)),
  }));
  return {
    width: Math.max(200, element.clientWidth),
    height: HEIGHT,
    cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
    legend: { live: false },
    scales: {
      x: { time: false },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, high ?? 1)] },
    },
    axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, axis],
    series: [{ label: "second" }, ...lines],
  };
}

export function drawTimeline(element, data, onSeek) {
  let plot = null;
  let playhead = null;
  let at = 0;

  function moveTo(seconds) {
    at = seconds;
    playhead.style.transform = `translateX(${plot.valToPos(seconds, "x")}px)`;
    playhead.dataset.at = seconds.toFixed(2);
  }

  function draw() {
    plot?.destroy();
    plot = new uPlot(options(element, data), values(data), element);
    playhead = document.createElement("div");
    playhead.className = "playhead";
    plot.over.append(playhead);
    plot.over.addEventListener("click", (event) => {
      onSeek(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x"));
    });
    moveTo(at);
  }

  draw();
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    draw();
  }).observe(element);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return { moveTo };
}
