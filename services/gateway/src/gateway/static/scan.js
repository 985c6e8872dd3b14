// The scanner: the camera or a photo, read in the page. Nothing is sent, and nothing but an invoice of
// this site is opened.
import { judge } from "./code.js";
import { openDetector } from "./detector.js";

const PAUSE_MS = 120;
// A paper may carry other codes beside ours: they are spoken of once they were alone in sight so often.
const SIGHTINGS = 6;
const IDEAL = { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } };
const REASONS = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "absent",
  OverconstrainedError: "absent",
  NotReadableError: "busy",
  AbortError: "busy",
};

const part = (id) => document.getElementById(id);
const scanner = part("scanner");
const video = part("viseur");
const origins = [location.origin, scanner.dataset.origin];
let stream = null;
let detector = null;

function phrase(name, value = "") {
  return part("phrases").querySelector(`[data-name="${name}"]`).textContent.replace("{}", value);
}

function say(name) {
  part("etat").textContent = name ? phrase(name) : "";
}

/** Show a warning as plain text, never as a link, and move to it. */
function warn(name, value) {
  say("");
  part("alerte").textContent = phrase(name, value);
  part("alerte").hidden = false;
  part("alerte").focus();
}

function calm() {
  part("alerte").hidden = true;
  part("alerte").textContent = "";
}

async function reader() {
  // A failure is not remembered: the network may be back at the next try.
  detector ??= await openDetector(scanner.dataset);
  return detector;
}

async function start() {
  if (stream) return;
  calm();
  if (!navigator.mediaDevices?.getUserMedia) {
    warn("unable");
    return;
  }
  say("starting");
  part("ouvrir").disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: IDEAL, audio: false });
    video.srcObject = stream;
    video.parentElement.hidden = false;
    await video.play();
    show(true);
    await look(await reader(), stream);
  } catch (error) {
    const name = REASONS[error.name] ?? (stream ? "reader" : "unable");
    stop();
    warn(name);
  } finally {
    part("ouvrir").disabled = false;
  }
}

/** Look for a code until one is found or the camera is stopped. */
async function look(reads, of) {
  say("looking");
  let sightings = 0;
  while (stream === of) {
    const codes = video.readyState >= 2 ? await reads.detect(video) : [];
    if (codes.length > 0) sightings += 1;
    const found = codes.find(isOurs) ?? (sightings >= SIGHTINGS ? codes[0] : undefined);
    if (found && stream === of) {
      stop();
      conclude(found);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
  video.parentElement.hidden = true;
  show(false);
}

function show(isOpen) {
  part("ouvrir").hidden = isOpen;
  part("fermer").hidden = !isOpen;
  const track = stream?.getVideoTracks()[0];
  part("lampe").hidden = !track?.getCapabilities?.().torch;
  part("lampe").setAttribute("aria-pressed", "false");
}

function isOurs({ rawValue, format }) {
  return judge(rawValue, format, origins).kind === "invoice";
}

function conclude({ rawValue, format }) {
  const found = judge(rawValue, format, origins);
  if (found.kind === "invoice") {
    say("found");
    navigator.vibrate?.(60);
    location.assign(found.path);
    return;
  }
  part("ouvrir").textContent = phrase("again");
  warn(found.kind, found.host);
}

async function toggleTorch() {
  const isOn = part("lampe").getAttribute("aria-pressed") !== "true";
  await stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: isOn }] });
  part("lampe").setAttribute("aria-pressed", String(isOn));
}

async function readPhoto() {
  const [file] = part("photo").files;
  part("photo").value = "";
  if (!file) return;
  stop();
  calm();
  say("reading");
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    warn("unreadable");
    return;
  }
  let codes;
  try {
    codes = await (await reader()).detect(picture);
  } catch {
    warn("reader");
    return;
  } finally {
    picture.close();
  }
  if (codes.length === 0) warn("nothing");
  else conclude(codes.find(isOurs) ?? codes[0]);
}

async function isAllowedAlready() {
  try {
    return (await navigator.permissions.query({ name: "camera" })).state === "granted";
  } catch {
    return false; // Not every browser answers this question: a click does.
  }
}

part("ouvrir").addEventListener("click", start);
part("fermer").addEventListener("click", () => {
  stop();
  say("stopped");
  part("ouvrir").focus();
});
part("lampe").addEventListener("click", toggleTorch);
part("choisir").addEventListener("click", () => part("photo").click());
part("photo").addEventListener("change", readPhoto);
// Whoever leaves the page, or looks at another one, is filmed no longer.
addEventListener("pagehide", stop);
document.addEventListener("visibilitychange", () => document.hidden && stop());
scanner.hidden = false;
if (await isAllowedAlready()) await start();
