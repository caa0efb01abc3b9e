// Dragging over the on-call calendar: the stretch that was drawn is filled into the form of overrides.
// The form, and the links of the shifts, do the same without this file.
const MINUTES = 30;
let drag;

const calendarOf = (track) => track.closest(".cal").dataset;
const share = (track, x) => {
  const box = track.getBoundingClientRect();
  return Math.min(1, Math.max(0, (x - box.left) / box.width));
};

// The instant under a place, on a whole half hour.
function instant(track, part) {
  const { from, until } = calendarOf(track), step = MINUTES * 60000;
  return Math.round((Number(from) + part * (until - from)) / step) * step;
}

// A wall clock of the calendar's zone, as the field of a form wants it.
function wall(at, zone) {
  const format = { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const part = Object.fromEntries(new Intl.DateTimeFormat("en", format).formatToParts(at).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}`;
}

function draw() {
  const [a, b] = [drag.begin, drag.end].sort((one, two) => one - two);
  drag.rect.setAttribute("x", `${a * 100}%`);
  drag.rect.setAttribute("width", `${(b - a) * 100}%`);
}

function fill(track, from, until) {
  const form = document.getElementById("override"), zone = calendarOf(track).zoneName;
  const fields = form.elements;
  if (track.dataset.schedule) fields.schedule.value = track.dataset.schedule;
  if (track.dataset.person) fields.user.value = track.dataset.person;
  [fields.start.value, fields.end.value, fields.zone.value] = [wall(from, zone), wall(until, zone), zone];
  form.scrollIntoView({ block: "nearest" });
  (track.dataset.person ? fields.schedule : fields.user).focus();
}

document.addEventListener("pointerdown", (event) => {
  const track = event.target.closest(".cal-track");
  if (!track || event.button !== 0 || event.pointerType === "touch" || !document.getElementById("override")) return;
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("class", "drawn");
  rect.setAttribute("height", "100%");
  const part = share(track, event.clientX);
  drag = { track, rect, begin: part, end: part, x: event.clientX, moved: false };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  if (!drag.moved && Math.abs(event.clientX - drag.x) < 5) return;
  if (!drag.moved) { drag.moved = true; drag.track.append(drag.rect); }
  drag.end = share(drag.track, event.clientX);
  draw();
});
document.addEventListener("pointerup", () => {
  if (!drag) return;
  const { track, begin, end, rect, moved } = drag;
  drag = undefined;
  rect.remove();
  if (!moved) return;
  const [from, until] = [begin, end].sort((one, two) => one - two).map((part) => instant(track, part));
  // The link under the pointer is not meant.
  addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); }, { capture: true, once: true });
  setTimeout(() => { if (until > from) fill(track, from, until); });
});
document.addEventListener("pointercancel", () => { drag?.rect.remove(); drag = undefined; });
document.addEventListener("dragstart", (event) => { if (event.target.closest?.(".cal-track")) event.preventDefault(); });
