// A clip's page: what plays, the timeline, the transcript and the slider move together.
import { drawTimeline } from "/static/timeline.js";
import { drawWave } from "/static/wave.js";

const data = JSON.parse(document.getElementById("data").textContent);
const media = document.getElementById("media");
const slider = document.getElementById("second");
const moment = document.getElementById("moment");
const words = [...document.querySelectorAll("#transcript button")];
const begins = words.map((word) => Number(word.dataset.at));
const length = Math.max(0, ...data.seconds.map((second) => second + 1));
let timeline = null;
let now = 0;
let shownWord = -1;

function seek(seconds) {
  const end = media && Number.isFinite(media.duration) ? media.duration : length;
  const to = Math.min(Math.max(0, seconds), end || 0);
  if (media && media.readyState > 0) media.currentTime = to;
  move(to);
}

function move(seconds) {
  now = seconds;
  timeline?.moveTo(seconds);
  if (slider) {
    slider.value = String(seconds);
    moment.textContent = inWords(seconds);
    slider.setAttribute("aria-valuetext", moment.textContent);
  }
  showWord(seconds);
}

function inWords(seconds) {
  const place = data.seconds.indexOf(Math.floor(seconds));
  const values = Object.entries(data.vad).map(([name, row]) => {
    const value = place < 0 ? null : row[place];
    return `${name} ${value === null ? "-" : value.toFixed(2)}`;
  });
  return `${seconds.toFixed(1)} s: ${values.join(", ")}`;
}

function showWord(seconds) {
  let word = -1;
  while (word + 1 < begins.length && begins[word + 1] <= seconds + 0.01) word += 1;
  if (word === shownWord) return;
  words[shownWord]?.classList.remove("now");
  words[word]?.classList.add("now");
  shownWord = word;
}

function follow() {
  if (!media) return;
  move(media.currentTime);
  if (!media.paused && !media.ended) requestAnimationFrame(follow);
}

function start() {
  if (slider) {
    slider.max = String(length);
    slider.addEventListener("input", () => seek(Number(slider.value)));
    timeline = drawTimeline(document.getElementById("timeline"), data, seek);
  }
  for (const word of words) {
    word.addEventListener("click", () => seek(Number(word.dataset.at)));
  }
  if (media) {
    media.addEventListener("play", follow);
    for (const name of ["seeking", "seeked", "timeupdate", "pause", "ended"]) {
      media.addEventListener(name, () => move(media.currentTime));
    }
    const unplayable = () => document.getElementById("unplayable").removeAttribute("hidden");
    media.addEventListener("error", unplayable);
    if (media.error) unplayable();
    const sized = () => {
      media.classList.toggle("no-picture", media.tagName === "VIDEO" && media.videoWidth === 0);
    };
    media.addEventListener("loadedmetadata", sized);
    if (media.readyState > 0) sized();
    drawWave(document.getElementById("wave"), media, data);
  }
  move(0);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: copy it by Ctrl + C";
    }
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, video, audio")) return;
  const link = { n: "a[rel=next]", p: "a[rel=prev]", l: "#back" }[event.key];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (link) document.querySelector(link)?.click();
  if (step && !event.target.closest("[tabindex]")) {
    event.preventDefault();
    seek(now + step);
  }
  if (event.key === " " && media && !event.target.closest("a, button, summary")) {
    event.preventDefault();
    if (media.paused) media.play();
    else media.pause();
  }
});

start();
