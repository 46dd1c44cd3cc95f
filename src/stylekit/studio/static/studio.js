// The page of `stylekit studio`: shows what the server paints, and requests the previews that are missing.

const $ = (id) => document.getElementById(id);
const page = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const state = {
  styles: [],
  photos: [],
  photo: null, // the photo that is shown
  style: null, // the id of the style that is open
  look: { strength: 1, stroke: null, keepColors: false, blend: "", share: 0.5 },
  painted: new Map(), // finished previews: key -> whether the strokes are coarse
  failed: new Map(), // previews that cannot be painted: key -> why
  listens: false, // whether the page is receiving events
  slots: [], // the wanted previews: {photo, choice, size, key}
  limits: {},
};

// --- Talking to the server ---------------------------------------------------------------------------------------

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, { method, body: body instanceof Blob ? body : body && JSON.stringify(body) });
  } catch {
    throw new Problem("The studio cannot be reached.", "If it has ended, start it again: `stylekit studio`");
  }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(content.error?.message ?? `The studio failed (${answer.status}).`, content.error?.hint, answer.status);
  return content;
}

class Problem extends Error {
  constructor(message, hint = "", status = 0) {
    super(message);
    this.hint = hint;
    this.status = status; // of the answer
  }
}

function listen() {
  const source = new EventSource(`api/events?page=${page}`);
  source.addEventListener("hello", () => {
    $("lost").hidden = true;
    state.listens = true;
    want();
    for (const [id, item] of exportItems) if (item.isConnected) call("GET", `exports/${id}`).then(showExport, notify);
  });
  source.onmessage = ({ data }) => receive(JSON.parse(data));
  source.onerror = () => {
    state.listens = false;
    $("lost").hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
}

function receive(event) {
  if (event.type === "export") return showExport(event);
  if (event.type === "painted") state.painted.set(event.key, event.coarse);
  if (event.type === "failed") state.failed.set(event.key, event);
  showPreviews();
}

// All previews that the page wants, in order: the server drops previews that are missing from this list.
let turn = 0;
async function want() {
  if (!state.listens) return;
  const { photo, style } = state;
  const slots = [];
  if (photo) {
    if (style) for (const size of ["small", "large"]) slots.push({ photo: photo.id, choice: atFullStrength(), size });
    for (const { id } of state.styles) slots.push({ photo: photo.id, choice: plain(id), size: "small" });
  }
  const mine = ++turn;
  try {
    const { keys, ready } = await call("PUT", "wants", { page, wants: slots });
    if (mine !== turn) return; // the page wants other previews by now
    keys.forEach((key, index) => (slots[index].key = key));
    for (const event of ready) state.painted.set(event.key, event.coarse);
    for (const key of keys) state.failed.delete(key);
    state.slots = slots;
    showPreviews();
  } catch (problem) {
    if (mine === turn) notify(problem);
  }
}

const plain = (style) => ({ styles: [{ style }] });

function choice() {
  const { strength, stroke, keepColors, blend, share } = state.look;
  const styles = blend && blend !== state.style
    ? [{ style: state.style, share: round(1 - share) }, { style: blend, share: round(share) }]
    : [{ style: state.style }];
  return { styles, strength, stroke_size: stroke, keep_colors: keepColors };
}

// The page itself mixes photo and painting, so the same preview serves every strength.
const atFullStrength = () => ({ ...choice(), strength: 1 });

const round = (number) => Math.round(number * 100) / 100;

// --- Photos and styles that the user adds ---------------------------------------------------------------------------

const isStyleFile = (file) => /\.(safetensors|pth|pt|ckpt|model|onnx)$/i.test(file.name);

async function bring(files, asStyles = false) {
  files = [...files];
  const styles = asStyles ? files : files.filter(isStyleFile);
  for (const file of styles) await bringStyle(file);
  const photos = files.filter((file) => !styles.includes(file));
  const bringNext = async () => {
    for (let file; (file = photos.shift()); ) await bringPhoto(file);
  };
  await Promise.all([bringNext(), bringNext()]);
}

async function bringPhoto(file) {
  const item = element("li", {}, element("span", { className: "pick frame waiting" }));
  $("strip").append(item);
  showStrip();
  try {
    if (file.size > state.limits.most_photo_bytes) {
      throw new Problem(`${file.name} is too large.`, `The studio takes files of up to ${state.limits.most_photo_bytes / 1e6} MB.`);
    }
    const photo = await call("POST", `photos?name=${encodeURIComponent(file.name)}`, file);
    addPhoto(photo, item);
    if (!state.photo) showPhoto(photo);
    for (const note of photo.notes) notify(new Problem(`${photo.name}: ${note}.`));
    say(`${photo.name} is added.`);
  } catch (problem) {
    item.remove();
    notify(problem);
  }
  showStrip();
}

function addPhoto(photo, item = $("strip").appendChild(element("li"))) {
  state.photos.push(photo);
  const image = element("img", { src: imageOf(photo), alt: "" });
  const pick = element("button", { type: "button", className: "pick", ariaLabel: photo.name, title: photo.name }, image);
  const remove = element("button", { type: "button", className: "remove", ariaLabel: `Remove ${photo.name}`, textContent: "×" });
  pick.onclick = () => showPhoto(photo);
  remove.onclick = () => removePhoto(photo, item);
  item.replaceChildren(pick, remove);
  item.dataset.photo = photo.id;
  const order = [...$("strip").children].map(({ dataset }) => dataset.photo); // the user's order, not the order of arrival
  state.photos.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}

async function removePhoto(photo, item) {
  const index = state.photos.indexOf(photo);
  state.photos.splice(index, 1);
  item.remove();
  if (state.photo === photo) {
    state.photo = null;
    const next = state.photos[Math.min(index, state.photos.length - 1)];
    if (next) showPhoto(next);
    else {
      state.style = null;
      history.replaceState(null, "", "#");
      show();
    }
  }
  showStrip();
  ($("strip").querySelector("[aria-pressed=true]") ?? $("first-files")).focus();
  await call("DELETE", `photos/${photo.id}`).catch((problem) => problem.status === 404 || notify(problem)); // another tab
}

async function bringStyle(file) {
  try {
    const style = await call("POST", `styles?name=${encodeURIComponent(file.name)}`, file);
    state.styles.unshift(style);
    say(`The style ${style.title} is added.`);
    show();
  } catch (problem) {
    notify(problem);
  }
}

const imageOf = (photo) => `api/photos/${photo.id}/image`;

// --- What is on the screen ----------------------------------------------------------------------------------------

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const nameOf = (style) => state.styles.find(({ id }) => id === style);
const credit = ({ artist, year, where }) => [artist, year].filter(Boolean).join(", ") || { file: "your file", own: "your own" }[where] || "";

function show() {
  const isOpen = Boolean(state.photo && state.style);
  $("welcome").hidden = Boolean(state.photo);
  $("add").hidden = !state.photo;
  $("overview").hidden = !state.photo || isOpen;
  $("detail").hidden = !isOpen;
  document.title = isOpen ? `${nameOf(state.style).title} · stylekit studio` : "stylekit studio";
  if (state.photo) {
    const { width, height, name } = state.photo;
    $("overview-title").textContent = name;
    $("overview-about").textContent = `${width.toLocaleString("en")} × ${height.toLocaleString("en")} pixels, in ${state.styles.length} styles`;
    $("grid").style.setProperty("--ratio", Math.min(Math.max(width / height, 0.75), 1.8));
    $("compare").style.setProperty("--ratio", width / height);
    showGrid();
  }
  if (isOpen) showDetail();
  showStrip();
  want();
}

function showStrip() {
  for (const item of $("strip").children) {
    item.querySelector("button.pick")?.setAttribute("aria-pressed", item.dataset.photo === state.photo?.id);
  }
}

function showPhoto(photo) {
  state.photo = photo;
  clearPainting();
  show();
}

function clearPainting() {
  $("after").removeAttribute("src");
  delete $("after").dataset.next;
  busy(true);
}

let gridOf = "";
function showGrid() {
  const made = JSON.stringify([state.photo.id, state.styles.map(({ id }) => id)]);
  if (made === gridOf) return;
  gridOf = made;
  const photo = element("div", { className: "tile" },
    element("span", { className: "frame" }, element("img", { src: imageOf(state.photo), alt: "" })),
    element("span", { className: "title", textContent: "The photo" }));
  const tiles = state.styles.map((style) => {
    const tile = element("button", { type: "button", className: "tile" },
      element("span", { className: "frame waiting" }, element("img", { alt: "" })),
      element("span", { className: "title", textContent: style.title }),
      element("span", { className: "by", textContent: credit(style) }));
    tile.dataset.style = style.id;
    tile.onclick = () => (location.hash = encodeURIComponent(style.id));
    return element("li", {}, tile);
  });
  const input = element("input", { type: "file", accept: ".safetensors", ariaLabel: "Add a style file" });
  input.onchange = () => bring(input.files, true).then(() => (input.value = ""));
  const add = element("div", { className: "tile add" },
    element("span", { className: "frame", textContent: "+", ariaHidden: "true" }), input,
    element("span", { className: "title", textContent: "Another style" }),
    element("span", { className: "by", textContent: "Drop a style file (.safetensors)" }));
  $("grid").replaceChildren(element("li", {}, photo), ...tiles, element("li", {}, add));
}

// Fill in the previews that have arrived.
function showPreviews() {
  const grid = state.slots.filter(({ choice, size }) => size === "small" && choice.strength === undefined);
  for (const { key, choice, photo } of grid) {
    const tile = $("grid").querySelector(`[data-style="${CSS.escape(choice.styles[0].style)}"]`);
    if (tile && photo === state.photo?.id) fillTile(tile, key);
  }
  if (grid.length && grid.every(({ key }) => state.painted.has(key) || state.failed.has(key))) {
    say(`${state.photo.name} is painted in ${grid.length} styles.`);
  }
  if (state.style) fillCompare();
}

function fillTile(tile, key) {
  const frame = tile.querySelector(".frame");
  const problem = state.failed.get(key);
  frame.querySelector(".problem")?.remove();
  if (problem) frame.append(element("span", { className: "problem", textContent: problem.message }));
  frame.classList.toggle("waiting", !problem && !state.painted.has(key));
  if (state.painted.has(key)) load(frame.querySelector("img"), key);
}

async function load(image, key) {
  const source = `api/previews/${key}`;
  image.dataset.next = key; // instead of an image that is still loading
  if (image.getAttribute("src") === source) return true;
  const next = element("img", { src: source });
  try {
    await next.decode();
  } catch { // the server no longer has the preview
    state.painted.delete(key);
    if (image.dataset.next === key) setTimeout(want, 500);
    return false;
  }
  if (image.dataset.next === key) image.src = source;
  return true;
}

// --- One style ----------------------------------------------------------------------------------------------------

function showDetail() {
  const style = nameOf(state.style);
  $("detail-title").textContent = style.title;
  $("detail-about").textContent = credit(style);
  $("before").alt = `${state.photo.name}, the photo`;
  $("after").alt = `${state.photo.name} in the style of ${style.title}`;
  if ($("before").getAttribute("src") !== imageOf(state.photo)) $("before").src = imageOf(state.photo);
  const { strength, stroke, keepColors, blend, share } = state.look;
  $("strength").value = strength * 100;
  $("strength-value").textContent = `${Math.round(strength * 100)} %`;
  $("compare").style.setProperty("--strength", strength);
  $("stroke-auto").checked = stroke === null;
  if (stroke === null) $("stroke").value = 0;
  $("stroke-value").textContent = stroke === null ? "auto" : `${stroke} ×`;
  $("keep-colors").checked = keepColors;
  const others = state.styles.filter(({ id }) => id !== state.style);
  $("blend").replaceChildren(element("option", { value: "", textContent: "no other style" }),
    ...others.map(({ id, title }) => element("option", { value: id, textContent: title })));
  $("blend").value = others.some(({ id }) => id === blend) ? blend : "";
  const partner = nameOf($("blend").value);
  $("share-field").hidden = !partner;
  $("share").value = share * 100;
  if (partner) {
    const text = `${Math.round(100 - share * 100)} % ${style.title}, ${Math.round(share * 100)} % ${partner.title}`;
    $("share-value").textContent = text;
    $("share").setAttribute("aria-valuetext", text);
  }
  $("download-all").hidden = state.photos.length < 2;
  $("download-all").textContent = `Download all ${state.photos.length} photos (ZIP)`;
  showCommand();
}

async function fillCompare() {
  const mine = JSON.stringify(atFullStrength());
  const slots = state.slots.filter(({ choice, photo }) => photo === state.photo.id && JSON.stringify(choice) === mine);
  const best = slots.findLast(({ key }) => state.painted.has(key));
  const large = slots.find(({ size }) => size === "large");
  const problem = slots.map(({ key }) => state.failed.get(key)).find(Boolean);
  busy(!(best && best === large) && !problem);
  $("coarse").hidden = !(large && state.painted.get(large.key));
  if (problem) notify(new Problem(problem.message, problem.hint));
  if (best && (await load($("after"), best.key)) && best === large) {
    $("compare").dataset.ready = large.key;
    say(`${nameOf(state.style)?.title} is painted.`);
  }
}

const busy = (isBusy) => ($("compare").querySelector(".busy").hidden = !isBusy);

let commandTimer;
function showCommand() {
  clearTimeout(commandTimer);
  commandTimer = setTimeout(async () => {
    if (!state.photo || !state.style) return; // the user has left this view
    const asked = JSON.stringify([state.photo?.id, state.style, state.look]);
    try {
      const { command } = await call("POST", "command", { photos: [state.photo.id], choice: choice() });
      if (asked === JSON.stringify([state.photo?.id, state.style, state.look])) spell(command);
    } catch (problem) {
      notify(problem);
    }
  }, 60);
}

// Show a command, broken before options rather than inside them.
function spell(command) {
  const parts = command.split(/ (?=--)/);
  $("command").replaceChildren(...parts.flatMap((part, index) => [index ? " " : "", element("span", { textContent: part })]));
}

function change(setting, value) {
  state.look[setting] = value;
  showDetail();
  if (setting === "strength") return; // see atFullStrength
  busy(true);
  soon(want);
}

let wantTimer;
function soon(action) {
  clearTimeout(wantTimer);
  wantTimer = setTimeout(action, 150);
}

function step(by) {
  const index = state.styles.findIndex(({ id }) => id === state.style);
  const { id } = state.styles[(index + by + state.styles.length) % state.styles.length];
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  openFromAddress();
}

function openFromAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  const previous = state.style;
  state.style = nameOf(id) && state.photo ? id : null;
  if (id && !state.style) history.replaceState(null, "", "#"); // else opening this style later would change nothing
  if (state.style !== previous) {
    clearPainting();
    showSmall();
  }
  show();
  if (state.style && !previous) {
    $("detail-title").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  if (!state.style && previous) $("grid").querySelector(`[data-style="${CSS.escape(previous)}"]`)?.focus();
}

// Show the tile's image until the large image arrives.
function showSmall() {
  const source = state.style && $("grid").querySelector(`[data-style="${CSS.escape(state.style)}"] img`)?.getAttribute("src");
  if (source && !state.look.keepColors) $("after").src = source;
}

function split(percent) {
  percent = Math.min(100, Math.max(0, percent));
  $("split").value = percent;
  $("compare").style.setProperty("--split", `${percent}%`);
  $("compare").classList.toggle("at-left", percent < 12);
  $("compare").classList.toggle("at-right", percent > 88);
  $("split").setAttribute("aria-valuetext", `${Math.round(percent)} % photo`);
}

// --- Downloads ----------------------------------------------------------------------------------------------------

async function download(photos) {
  try {
    const event = await call("POST", "exports", { page, photos: photos.map(({ id }) => id), choice: choice() });
    showExport(event);
  } catch (problem) {
    notify(problem);
  }
}

const exportItems = new Map();
function showExport({ id, state: how, done, of, name, failures }) {
  let item = exportItems.get(id);
  if (!item) {
    const cancel = element("button", { type: "button", className: "quiet", textContent: "Cancel" });
    cancel.onclick = () => {
      $("download").focus(); // the focused button is about to disappear
      call("DELETE", `exports/${id}`).catch(notify);
    };
    item = element("li", {}, element("span"), cancel, element("progress", { max: 1, ariaLabel: "Download" }));
    exportItems.set(id, item);
    $("exports").append(item);
  }
  if (item.dataset.state === "done" || item.dataset.state === "failed") return; // an outdated event
  item.dataset.state = how;
  item.firstChild.textContent = of === 1 ? "Painting at full size …" : `Painting ${Math.min(done + 1, of)} of ${of} …`;
  const bar = item.querySelector("progress");
  if (of > 1) bar.value = done / of;
  if (how === "waiting" || how === "painting") return;
  item.remove();
  for (const failure of failures) notify(new Problem(failure.message, failure.hint));
  if (how === "cancelled") say("The download is cancelled.");
  if (how === "done") {
    element("a", { href: `api/exports/${id}/file`, download: name }).click();
    say(`${name} is downloaded.`);
  }
}

async function copy() {
  const text = $("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // the page is not a secure context when served from another machine
    getSelection().selectAllChildren($("command"));
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  say("The command is copied.");
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// --- Messages -----------------------------------------------------------------------------------------------------

function notify(problem) {
  const text = problem.message;
  if ([...$("notices").children].some((notice) => notice.dataset.text === text)) return;
  const close = element("button", { type: "button", className: "quiet", ariaLabel: "Close the message", textContent: "×" });
  const words = element("div", {}, element("div", { textContent: text }));
  if (problem.hint) {
    const parts = problem.hint.split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
    words.append(element("div", { className: "small" }, ...parts));
  }
  const notice = element("div", { className: "notice" }, words, close);
  notice.dataset.text = text;
  close.onclick = () => notice.remove();
  $("notices").append(notice);
  while ($("notices").children.length > 5) $("notices").firstChild.remove();
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

// --- What the user does ---------------------------------------------------------------------------------------------

for (const id of ["photo-files", "first-files"]) {
  $(id).onchange = ({ target }) => bring(target.files).then(() => (target.value = ""));
}
document.addEventListener("paste", ({ clipboardData }) => bring(clipboardData.files));

let depth = 0; // of elements that a dragged file has entered
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
const adder = (event) => event.target.closest?.(".tile.add");
function endDrag() {
  depth = 0;
  $("dropping").hidden = true;
  document.querySelector(".tile.add.over")?.classList.remove("over");
}
addEventListener("dragenter", (event) => {
  if (!hasFiles(event)) return;
  depth += 1;
  $("dropping").hidden = Boolean(adder(event));
  document.querySelector(".tile.add")?.classList.toggle("over", Boolean(adder(event)));
});
addEventListener("dragleave", () => (depth -= 1) <= 0 && endDrag());
addEventListener("dragstart", (event) => event.target instanceof Image && event.preventDefault()); // an image of the page is not a file to add
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  endDrag();
  if (!hasFiles(event)) return;
  event.preventDefault();
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  if (items.some(isFolder)) notify(new Problem("That is a folder.", "Drop the photos in it, or paint it with `stylekit apply`."));
  bring(items.filter((item) => !isFolder(item)).map((item) => item.getAsFile()), Boolean(adder(event)));
});

$("strength").oninput = ({ target }) => change("strength", target.value / 100);
$("stroke").oninput = ({ target }) => change("stroke", round(2 ** target.value));
$("stroke-auto").onchange = ({ target }) => change("stroke", target.checked ? null : 1);
$("keep-colors").onchange = ({ target }) => change("keepColors", target.checked);
$("blend").onchange = ({ target }) => change("blend", target.value);
$("share").oninput = ({ target }) => change("share", target.value / 100);
$("look").onsubmit = (event) => event.preventDefault();

$("split").oninput = ({ target }) => split(Number(target.value));
const drag = (event) => {
  const { left, width } = $("compare").getBoundingClientRect();
  split(((event.clientX - left) / width) * 100);
};
$("compare").onpointerdown = (event) => {
  if (event.button) return; // the menu
  $("compare").setPointerCapture(event.pointerId);
  $("split").focus({ preventScroll: true });
  event.preventDefault();
  drag(event);
};
$("compare").onpointermove = (event) => $("compare").hasPointerCapture(event.pointerId) && drag(event);

$("download").onclick = () => download([state.photo]);
$("download-all").onclick = () => download(state.photos);
$("copy").onclick = copy;
$("back").onclick = () => (location.hash = "");
$("previous").onclick = () => step(-1);
$("next").onclick = () => step(1);
addEventListener("hashchange", openFromAddress);
addEventListener("keydown", (event) => {
  if (!state.style || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") location.hash = "";
  if (event.target.closest("input, select, pre")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});

async function start() {
  split(35);
  const { styles, photos, ...limits } = await call("GET", "state");
  Object.assign(state, { styles, limits });
  photos.forEach((photo) => addPhoto(photo));
  state.photo = state.photos[0] ?? null;
  openFromAddress();
  listen();
}
start().catch(notify);
