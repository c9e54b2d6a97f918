// Draws the page: asks the node for its figures every few seconds, and for its history every minute.
// What nodes say is put into the page as text, never as markup.
"use strict";

const LOOK_EVERY = 3000;
const PATIENCE = 5000;
const SVG = "http://www.w3.org/2000/svg";
const CARDS = [
  { name: "peers", title: "Peers", of: (row) => row.leechers + row.seeds },
  { name: "seeds", title: "Seeds", of: (row) => row.seeds },
  { name: "torrents", title: "Torrents", of: (row) => row.swarms },
  { name: "requests", title: "Requests a minute", of: (row) => row.announces + row.scrapes },
];
const WORDS = {
  serving: "serving", short: "short of copies", merging: "merging", joining: "joining", leaving: "leaving",
  left: "has left", silent: "silent", alone: "serving, alone",
};

const byId = (id) => document.getElementById(id);
const state = {
  status: null, ring: null, history: null, historyOf: "", rates: [], chosen: null, heardAt: null, at: null,
};

// Words and numbers

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const number = (value) => (Math.abs(value) < 100 ? fine : whole).format(value);
const many = (count, one, more = one + "s") => `${whole.format(count)} ${count === 1 ? one : more}`;
const short = (id) => id.slice(0, 6);

function span(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${seconds} s`;
}

function time(seconds, withDay) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (withDay) options.weekday = "short";
  return new Date(seconds * 1000).toLocaleString("en", options);
}

function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Asking

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function look() {
  try {
    [state.status, state.ring] = await Promise.all([ask("status"), ask("ring")]);
    await readHistory();
    state.heardAt = new Date();
    byId("trouble").hidden = true;
    document.body.classList.remove("stale");
    drawAll();
  } catch (error) {
    if (error instanceof TypeError || error.name === "TimeoutError" || /: \d+$/.test(error.message)) sayTrouble();
    else throw error;
  }
}

async function readHistory() {
  const { of, hours, group } = choice();
  const question = `history?hours=${hours}&group=${group}&of=${of}`;
  const wanted = `${question} ${Math.floor((Date.now() - 2000) / 60000)}`;
  if (wanted === state.historyOf) return;
  const answer = await ask(question);
  const rows = answer.groups.map((numbers) => {
    return Object.fromEntries(answer.columns.map((column, at) => [column, numbers[at]]));
  });
  state.history = { rows, now: answer.now, step: answer.group_secs, hours: Number(hours) };
  state.historyOf = wanted;
  state.at = null;
}

function sayTrouble() {
  const since = state.heardAt ? `since ${state.heardAt.toLocaleTimeString("en", { hourCycle: "h23" })}` : "";
  const shown = state.heardAt ? " What is shown is from then." : "";
  write(byId("trouble"), `This node does not answer ${since}.`.replace(" .", ".") + `${shown} Trying again.`);
  byId("trouble").hidden = false;
  document.body.classList.add("stale");
  byId("state").dataset.health = "silent";
  write(byId("state"), "does not answer");
}

// Choices

function choice() {
  return { of: byId("of").value, hours: byId("hours").value, group: byId("group").value };
}

function restoreChoice() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const select = document.querySelector(`#choice select[name="${CSS.escape(name)}"]`);
    if (select && [...select.options].some((option) => option.value === value)) select.value = value;
  }
}

async function choose() {
  history.replaceState(null, "", "#" + new URLSearchParams(choice()));
  state.rates = [];
  await look();
}

// Figures

function present() {
  const { status, ring } = state;
  if (choice().of === "ring" && ring) {
    const heard = ring.nodes.filter((node) => node.health !== "silent" && node.health !== "left");
    const sum = (key) => heard.reduce((total, node) => total + node[key], 0);
    const { swarms, seeds, leechers } = ring.totals;
    return { swarms, seeds, leechers, announces: sum("announces"), scrapes: sum("scrapes"), of: "the ring" };
  }
  return {
    swarms: status.torrents, seeds: status.seeds, leechers: status.leechers,
    announces: status.http.announces + status.udp.announces,
    scrapes: status.http.scrapes + status.udp.scrapes, of: "this node",
  };
}

// Requests a minute, from the last looks; from the history as long as there are none.
function rate(figures) {
  const now = Date.now(), total = figures.announces + figures.scrapes;
  state.rates = state.rates.filter((seen) => now - seen.at < 60000);
  const first = state.rates[0];
  state.rates.push({ at: now, total });
  if (first && total >= first.total) return ((total - first.total) / (now - first.at)) * 60000;
  const last = state.history && state.history.rows.at(-1);
  return last ? last.announces + last.scrapes : 0;
}

function makeCards() {
  for (const card of CARDS) {
    const article = document.createElement("article");
    article.className = "card";
    const head = document.createElement("div");
    head.className = "head";
    const title = document.createElement("h3");
    title.textContent = card.title;
    card.then = document.createElement("p");
    card.then.className = "then";
    card.now = document.createElement("p");
    card.now.className = "now";
    card.now.id = `${card.name}-now`;
    card.now.textContent = "–";
    card.chart = element("svg", { class: "chart", role: "img", tabindex: "0", id: `${card.name}-chart` });
    head.append(title, card.then);
    article.append(head, card.now, card.chart);
    byId("cards").append(article);
    card.chart.addEventListener("pointermove", (event) => point(card, event));
    card.chart.addEventListener("pointerleave", () => pointAt(null));
    card.chart.addEventListener("keydown", (event) => step(event));
    card.chart.addEventListener("blur", () => pointAt(null));
  }
}

function drawFigures() {
  const figures = present(), inRing = state.ring !== null;
  const kept = figures.of === "this node" && inRing ? "kept here, copies included" : "";
  const notes = {
    peers: kept || "seeds included", seeds: kept, torrents: kept,
    requests: `${whole.format(figures.announces)} announces, ${many(figures.scrapes, "scrape")} since the start`,
  };
  const values = { peers: figures.leechers + figures.seeds, seeds: figures.seeds, torrents: figures.swarms, requests: rate(figures) };
  for (const card of CARDS) {
    write(card.now, card.name === "requests" ? number(values[card.name]) : whole.format(values[card.name]));
    card.note = notes[card.name];
    if (state.at === null) write(card.then, card.note);
  }
}

// Charts

const LEFT = 40, RIGHT = 8, TOP = 8, BOTTOM = 20;

function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((top) => top >= value);
}

function scales(card) {
  const { rows, now, step: size, hours } = state.history;
  const width = card.chart.clientWidth || 400, height = 132;
  const start = now - hours * 3600;
  const top = nice(Math.max(...rows.map(card.of), 0));
  // A group is drawn at its middle.
  const x = (row) => LEFT + ((Math.min(Math.max(row.start + size / 2, start), now) - start) / (now - start)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value / top) * (height - TOP - BOTTOM);
  return { width, height, start, now, top, x, y };
}

function runs(rows, size) {
  const parts = [];
  for (const row of rows) {
    const part = parts.at(-1);
    if (part && row.start - part.at(-1).start <= size) part.push(row);
    else parts.push([row]);
  }
  return parts;
}

function drawChart(card) {
  const { rows, step: size, hours } = state.history;
  const { width, height, start, now, top, x, y } = scales(card);
  const parts = [];
  for (const value of [0, top / 2, top]) {
    parts.push(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    if (Number.isInteger(value) || top < 1 || top / 2 !== value) {
      parts.push(element("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, compact(value)));
    }
  }
  const labels = [[start, "start", LEFT], [(start + now) / 2, "middle", (LEFT + width - RIGHT) / 2], [now, "end", width - RIGHT]];
  for (const [seconds, anchor, at] of labels) {
    parts.push(element("text", { x: at, y: height - 4, "text-anchor": anchor }, time(seconds, hours > 24)));
  }
  for (const run of runs(rows, size)) {
    if (run.length === 1) {
      parts.push(element("circle", { class: "alone", cx: x(run[0]), cy: y(card.of(run[0])), r: 2.5 }));
      continue;
    }
    const line = run.map((row) => `${x(row).toFixed(1)},${y(card.of(row)).toFixed(1)}`).join("L");
    const ends = `L${x(run.at(-1)).toFixed(1)},${y(0)}L${x(run[0]).toFixed(1)},${y(0)}Z`;
    parts.push(element("path", { class: "area", d: `M${line}${ends}` }));
    parts.push(element("path", { class: "line", d: `M${line}` }));
  }
  if (!rows.length) {
    parts.push(element("text", { x: (LEFT + width) / 2, y: height / 2 + 12, "text-anchor": "middle" }, "nothing is recorded yet"));
  }
  const row = state.at === null ? null : rows[state.at];
  if (row) {
    parts.push(element("line", { class: "cross", x1: x(row), x2: x(row), y1: TOP, y2: height - BOTTOM }));
    parts.push(element("circle", { class: "dot", cx: x(row), cy: y(card.of(row)), r: 4 }));
    write(card.then, `${time(row.start, true)}: ${number(card.of(row))}`);
  } else {
    write(card.then, card.note || "");
  }
  card.chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  card.chart.setAttribute("aria-label", describe(card, rows));
  card.chart.dataset.groups = rows.length;
  card.chart.replaceChildren(...parts);
}

function compact(value) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

function describe(card, rows) {
  const over = byId("hours").selectedOptions[0].textContent, of = byId("of").selectedOptions[0].textContent;
  const what = `${card.title} of ${of}, ${over}, by ${choice().group}`;
  if (!rows.length) return `${what}: nothing is recorded yet.`;
  const values = rows.map(card.of), last = values.at(-1);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${what}: last ${number(last)}, between ${number(low)} and ${number(high)}. Arrow keys read single values.`;
}

function point(card, event) {
  const { rows } = state.history || { rows: [] };
  if (!rows.length) return;
  const { x } = scales(card), at = event.clientX - card.chart.getBoundingClientRect().left;
  let best = 0;
  rows.forEach((row, index) => {
    if (Math.abs(x(row) - at) < Math.abs(x(rows[best]) - at)) best = index;
  });
  pointAt(best);
}

function step(event) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  const { rows } = state.history || { rows: [] };
  if (event.key === "Escape") return pointAt(null);
  if (!(event.key in moves) || !rows.length) return;
  event.preventDefault();
  const from = state.at === null ? rows.length : state.at;
  pointAt(Math.min(Math.max(from + moves[event.key], 0), rows.length - 1));
  const row = rows[state.at];
  const said = CARDS.map((card) => `${card.title} ${number(card.of(row))}`).join(", ");
  write(byId("readout"), `${time(row.start, true)}: ${said}`);
}

function pointAt(index) {
  if (state.at === index || !state.history) return;
  state.at = index;
  CARDS.forEach(drawChart);
}

function drawTable() {
  const { rows } = state.history;
  if (!byId("table").open) return;
  // The newest first, and no more than anybody reads.
  const lines = rows.slice(-1500).reverse().map((row) => {
    const line = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = time(row.start, true);
    const values = [row.leechers + row.seeds, row.seeds, row.swarms, row.announces, row.scrapes];
    line.append(head, ...values.map((value) => {
      const cell = document.createElement("td");
      cell.textContent = number(value);
      return cell;
    }));
    return line;
  });
  byId("rows").replaceChildren(...lines);
}

// The ring

const CENTRE = 200, RADIUS = 138;

function spot(place, radius) {
  const angle = place * 2 * Math.PI - Math.PI / 2;
  return [CENTRE + radius * Math.cos(angle), CENTRE + radius * Math.sin(angle)];
}

function arcPath(from, share, radius) {
  if (share >= 0.9999) {
    const [ax, ay] = spot(from, radius), [bx, by] = spot(from + 0.5, radius);
    return `M${ax},${ay}A${radius},${radius} 0 1 1 ${bx},${by}A${radius},${radius} 0 1 1 ${ax},${ay}`;
  }
  const gap = Math.min(0.004, share / 4);
  const [ax, ay] = spot(from + gap, radius), [bx, by] = spot(from + share - gap, radius);
  const large = share - 2 * gap > 0.5 ? 1 : 0;
  return `M${ax.toFixed(2)},${ay.toFixed(2)}A${radius},${radius} 0 ${large} 1 ${bx.toFixed(2)},${by.toFixed(2)}`;
}

function ringWords(nodes, heard) {
  const bad = heard.filter((node) => node.health !== "serving");
  const gone = nodes.filter((node) => node.health === "silent").length;
  if (gone) return `${many(gone, "node")} silent`;
  if (bad.length) return bad.length === 1 ? `one is ${WORDS[bad[0].health]}` : `${bad.length} are not ready`;
  return heard.length === 1 ? "no copies" : "all copies complete";
}

function drawRing() {
  const { ring } = state, nodes = ring ? ring.nodes : [];
  const heard = nodes.filter((node) => node.health !== "silent" && node.health !== "left");
  const copies = Math.min(3, Math.max(1, heard.length));
  const chosen = nodes.some((node) => node.id === state.chosen) ? state.chosen : null;
  byId("nodes").hidden = !ring;
  write(byId("ring-note"), !ring ? "This tracker is one node alone. What it knows is nowhere else."
    : `Each torrent is on ${many(copies, "node")}, and any node answers for all.`);
  const parts = [element("circle", { class: "track", cx: CENTRE, cy: CENTRE, r: RADIUS })];
  const places = new Map(nodes.map((node) => [node.id, node]));
  parts.push(...drawArcs(heard, chosen), ...drawChords(heard, places, chosen), ...drawSpots(nodes, places, chosen));
  if (!ring) {
    parts.push(element("path", { class: "arc odd", d: arcPath(0, 1, RADIUS) }));
    parts.push(element("circle", { class: "spot here", cx: CENTRE, cy: CENTRE - RADIUS, r: 8 }));
  }
  const big = ring ? many(heard.length, "node") : "one node";
  const small = ring ? ringWords(nodes, heard) : "alone";
  parts.push(element("text", { class: "big", x: CENTRE, y: CENTRE + 4 }, big));
  parts.push(element("text", { class: "small", x: CENTRE, y: CENTRE + 28 }, small));
  byId("circle").setAttribute("aria-label", `The ring: ${big}, ${small}.` + (ring ? " The table beside it says the same." : ""));
  byId("circle").replaceChildren(...parts);
  drawNodes(nodes, chosen);
  drawDetail(places.get(chosen ?? (ring && ring.me)), places);
}

function drawArcs(heard, chosen) {
  return heard.filter((node) => node.arc).map((node, index) => {
    const path = element("path", {
      class: `arc${index % 2 ? " odd" : ""}${node.id === chosen ? " chosen" : ""}`,
      d: arcPath(node.place - node.arc.share, node.arc.share, RADIUS), "data-health": node.health,
    });
    path.addEventListener("click", () => pick(node.id));
    return path;
  });
}

// Curves from each node to those that keep its copies; in a large ring those of the chosen one only.
function drawChords(heard, places, chosen) {
  const curves = [];
  for (const node of heard) {
    if (heard.length > 24 && node.id !== chosen) continue;
    const [ax, ay] = spot(node.place, RADIUS - 12);
    const targets = node.copies.map((copy) => [copy.id, copy.complete]).concat(node.mending.map((id) => [id, false]));
    for (const [id, complete] of targets) {
      const other = places.get(id);
      if (!other) continue;
      const [bx, by] = spot(other.place, RADIUS - 12);
      // The farther apart, the closer to the centre; neighbours are joined by a small bow.
      const apart = Math.hypot(ax - bx, ay - by) / (2 * RADIUS), pull = 0.92 - 0.5 * apart;
      const mx = CENTRE + ((ax + bx) / 2 - CENTRE) * pull, my = CENTRE + ((ay + by) / 2 - CENTRE) * pull;
      const kind = `${complete ? "" : " missing"}${node.id === chosen ? " chosen" : ""}`;
      curves.push(element("path", { class: `chord${kind}`, d: `M${ax.toFixed(1)},${ay.toFixed(1)}Q${mx.toFixed(1)},${my.toFixed(1)} ${bx.toFixed(1)},${by.toFixed(1)}` }));
    }
  }
  return curves;
}

function drawSpots(nodes, places, chosen) {
  const keepers = new Set((places.get(chosen)?.copies ?? []).map((copy) => copy.id));
  const size = nodes.length > 60 ? 3 : nodes.length > 24 ? 5 : 8;
  const parts = [];
  let named = -1, out = false;
  for (const node of nodes) {
    const here = node.id === state.ring.me;
    const [cx, cy] = spot(node.place, RADIUS);
    const kind = `${here ? " here" : ""}${keepers.has(node.id) ? " copy" : ""}`;
    const circle = element("circle", { class: `spot${kind}`, cx, cy, r: size, "data-health": node.health });
    circle.append(element("title", {}, `${short(node.id)} at ${node.address}: ${WORDS[node.health]}`));
    circle.addEventListener("click", () => pick(node.id));
    parts.push(circle);
    if (nodes.length <= 12 || here || node.id === chosen) {
      // Names of nodes that stand close together take turns.
      out = node.place - named < 0.035 && !out;
      named = node.place;
      const [x, y] = spot(node.place, RADIUS + (out ? 52 : 34));
      parts.push(element("text", { class: `name${here ? " here" : ""}`, x, y: y + 4 }, short(node.id)));
    }
  }
  return parts;
}

function pick(id) {
  state.chosen = state.chosen === id ? null : id;
  drawRing();
}

// Rows stay where they are, so that neither the focus nor a selection is lost.
const nodeRows = new Map();

function drawNodes(nodes, chosen) {
  const body = byId("node-rows");
  for (const [id, row] of nodeRows) {
    if (!nodes.some((node) => node.id === id)) {
      row.remove();
      nodeRows.delete(id);
    }
  }
  nodes.forEach((node, index) => {
    let row = nodeRows.get(node.id);
    if (!row) {
      row = makeNodeRow(node);
      nodeRows.set(node.id, row);
    }
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
    fillNodeRow(row, node, chosen);
  });
}

function makeNodeRow(node) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "node";
  const name = document.createElement("b"), address = document.createElement("small");
  button.append(name, document.createElement("br"), address);
  button.addEventListener("click", () => pick(node.id));
  head.append(button);
  row.append(head);
  for (let cell = 0; cell < 6; cell += 1) row.append(document.createElement("td"));
  const word = document.createElement("span");
  word.className = "state";
  row.cells[1].append(word);
  for (const cell of [3, 4, 5, 6]) row.cells[cell].className = "number";
  return row;
}

function fillNodeRow(row, node, chosen) {
  const heard = node.health !== "silent" && node.health !== "left";
  const peers = (totals) => totals.seeds + totals.leechers;
  row.className = [node.id === chosen && "chosen", node.id === state.ring.me && "here"].filter(Boolean).join(" ");
  row.dataset.id = node.id;
  row.cells[0].querySelector("button").setAttribute("aria-pressed", node.id === chosen);
  write(row.cells[0].querySelector("b"), short(node.id));
  write(row.cells[0].querySelector("small"), node.address);
  const word = row.cells[1].firstChild;
  word.dataset.health = node.health;
  write(word, node.health === "silent" ? `silent for ${span(node.heard_secs)}` : WORDS[node.health]);
  write(row.cells[2], heard ? `${node.copies_complete} of ${node.copies_wanted}` : "–");
  write(row.cells[3], heard && node.arc ? `${fine.format(node.arc.share * 100)} %` : "–");
  write(row.cells[4], heard ? many(peers(node.owned), "peer") : "–");
  write(row.cells[5], heard ? many(peers(node.held), "peer") : "–");
  write(row.cells[6], heard ? span(node.uptime_secs) : "–");
}

function drawDetail(node, places) {
  if (!node) return write(byId("detail"), "");
  const name = (id) => short(id) + (places.get(id) ? "" : " (unknown)");
  const holders = node.copies.map((copy) => name(copy.id) + (copy.complete ? "" : " (still filling)"));
  const words = [
    `${short(node.id)} ${node.arc ? `owns ${many(node.owned.swarms, "torrent")}` : "owns nothing yet"}`,
    holders.length ? `copies on ${holders.join(" and ")}` : "no copies elsewhere",
    ...(node.mending.length ? [`${node.mending.map(name).join(" and ")} was silent and is brought up to date`] : []),
    many(node.links, "link"), `${many(node.members, "node")} remembered`, many(node.fingers, "shortcut"),
    `held ${node.held_for_dead} for dead`, `version ${node.version}`,
  ];
  write(byId("detail"), words.join(" · "));
}

// All of it

function drawHead() {
  const { status, ring } = state;
  const me = ring && ring.nodes.find((node) => node.id === ring.me);
  const health = !ring ? "alone" : me ? me.health : "joining";
  byId("state").dataset.health = health;
  write(byId("state"), WORDS[health]);
  write(byId("about"), `version ${status.version} · running for ${span(status.uptime_secs)}`);
  write(byId("age"), `As of ${state.heardAt.toLocaleTimeString("en", { hourCycle: "h23" })}.`);
  document.title = `dtracker · ${location.host}`;
  byId("of").querySelector('[value="ring"]').disabled = !ring;
}

function drawAll() {
  drawHead();
  drawFigures();
  CARDS.forEach(drawChart);
  drawTable();
  drawRing();
  document.body.dataset.looks = Number(document.body.dataset.looks ?? 0) + 1;
}

async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, LOOK_EVERY);
}

makeCards();
restoreChoice();
byId("choice").addEventListener("change", choose);
byId("table").addEventListener("toggle", () => state.history && drawTable());
document.addEventListener("visibilitychange", () => document.hidden || look());
new ResizeObserver(() => state.history && CARDS.forEach(drawChart)).observe(byId("cards"));
keepLooking();
