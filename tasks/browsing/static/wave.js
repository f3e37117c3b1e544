// The loudness of a clip above its timeline, drawn by wavesurfer.js; a click seeks.
import WaveSurfer from "/static/vendored/wavesurfer.js";

const MAX_BYTES = 40_000_000;
const RATE = 8000;
const BINS = 1500;

async function peaksOf(address) {
  const found = await fetch(address);
  if (!found.ok) throw new Error(found.statusText);
  const decoder = new OfflineAudioContext(1, 1, RATE);
  const sound = await decoder.decodeAudioData(await found.arrayBuffer());
  const samples = sound.getChannelData(0);
  const bins = Math.min(BINS, samples.length);
  const peaks = new Float32Array(bins);
  for (let bin = 0; bin < bins; bin += 1) {
    const end = Math.floor(((bin + 1) * samples.length) / bins);
    for (let n = Math.floor((bin * samples.length) / bins); n < end; n += 1) {
      peaks[bin] = Math.max(peaks[bin], Math.abs(samples[n]));
    }
  }
  return { peaks, seconds: sound.duration };
}

export async function drawWave(element, media, data) {
  if (data.bytes > MAX_BYTES) {
    element.hidden = true;
    return;
  }
  try {
    const { peaks, seconds } = await peaksOf(data.media);
    const style = getComputedStyle(document.documentElement);
    const wave = WaveSurfer.create({
      container: element,
      media,
      peaks: [peaks],
      duration: seconds,
      height: 62,
      normalize: true,
      waveColor: style.getPropertyValue("--soft").trim(),
      progressColor: style.getPropertyValue("--blue").trim(),
      cursorColor: style.getPropertyValue("--ink").trim(),
      cspNonce: document.querySelector("meta[name=style-nonce]").content,
    });
    wave.on("ready", () => element.setAttribute("data-drawn", "yes"));
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => {
      wave.setOptions({
        waveColor: style.getPropertyValue("--soft").trim(),
        progressColor: style.getPropertyValue("--blue").trim(),
        cursorColor: style.getPropertyValue("--ink").trim(),
      });
    });
  } catch {
    element.hidden = true; // the browser does not decode it
  }
}
