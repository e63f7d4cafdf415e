"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const table = document.getElementById("heat"), dialog = document.getElementById("detail");
const rows = [...table.querySelectorAll("tr[data-row]")], bodies = [...table.tBodies];
const box = document.getElementById("matrix"), heads = [...table.querySelectorAll(".sort")];
const field = id => document.getElementById(id);
const make = (tag, text, parent) => { const e = document.createElement(tag); e.textContent = text; parent.append(e); return e; };
const cellAt = (row, column) => table.querySelector(`tr[data-row="${row}"]`).cells[column + 1].firstElementChild;
const units = x => typeof x === "string" ? x.replace("inf", "∞") : x === 0 ? "0" : x < 1000 ? Number(x.toPrecision(2)).toString() : x.toExponential(1).replace("e+", "e");

// Filters and order; `sorted` is the column whose head was pressed.
let sorted = 0;
const number = x => x === "inf" ? Infinity : x;
function used(row, column) {
  const cell = data.cells[row.dataset.row][column];
  if (cell.state === "skipped") return -1;
  if (!cell.findings.length) return cell.state === "bad" ? Infinity : 0;
  return Math.max(...cell.findings.map(f => !number(f[3]) ? 0 : number(f[3]) / number(f[4])).map(x => Number.isNaN(x) ? Infinity : x));
}
const differ = (a, b) => a === b ? 0 : a - b; // also of two infinities
function shown(row) {
  const text = field("text").value.trim().toLowerCase(), group = field("group").value, state = field("state").value;
  return (!text || row.dataset.text.includes(text)) && (!group || row.dataset.group === group) && (!state || row.dataset.marks.includes(state));
}
function arrange() {
  const order = field("order").value, plain = order === "matrix";
  const key = { worst: (a, b) => b.dataset.ratio - a.dataset.ratio, name: (a, b) => a.dataset.text.localeCompare(b.dataset.text), matrix: (a, b) => a.dataset.row - b.dataset.row, column: (a, b) => differ(used(b, sorted), used(a, sorted)) }[order];
  [...rows].sort(key).forEach(row => (plain ? table.querySelector(`#group-${row.dataset.body}`) : bodies[1]).append(row));
  table.classList.toggle("flat", !plain);
  let count = 0;
  rows.forEach(row => { row.hidden = !shown(row); count += !row.hidden; });
  bodies.forEach(body => { if (body.classList.contains("name")) body.hidden = !plain || ![...body.nextElementSibling.rows].some(r => !r.hidden); });
  heads.forEach(head => {
    const here = head.dataset.sort === (order === "column" ? String(sorted) : order);
    if (here) head.parentElement.setAttribute("aria-sort", order === "name" ? "ascending" : "descending");
    else head.parentElement.removeAttribute("aria-sort");
  });
  reachable();
  field("count").textContent = `${count} of ${rows.length} cases${order === "column" ? `, worst of ${data.columns[sorted]} first` : ""}`;
}
// The one cell that Tab stops at is among those that are shown.
function reachable() {
  const stop = table.querySelector('td button[tabindex="0"]'), shown = rows.filter(row => !row.hidden);
  if (!stop.closest("tr").hidden || !shown.length) return;
  const first = table.querySelector("tr[data-row]:not([hidden]) td button");
  stop.tabIndex = -1; first.tabIndex = 0;
}
heads.forEach(head => head.addEventListener("click", () => {
  const order = head.dataset.sort === "name" ? "name" : "column", again = head.parentElement.hasAttribute("aria-sort");
  if (order === "column") sorted = Number(head.dataset.sort);
  field("order").value = again ? "matrix" : order;
  arrange();
}));
["text", "group", "state", "order"].forEach(id => field(id).addEventListener("input", arrange));
document.querySelector(".tools").addEventListener("submit", event => event.preventDefault());

// A cell's numbers.
function open(row, column) {
  const [name, call, policy] = data.cases[row], cell = data.cells[row][column];
  field("detail-title").textContent = name;
  dialog.querySelector(".state").textContent = [data.columns[column], { good: "within its budget", bad: "outside its budget", skipped: "skipped" }[cell.state], policy && `policy: ${policy}`].filter(Boolean).join(" · ");
  dialog.querySelector("pre").textContent = call;
  dialog.querySelector(".note").textContent = [cell.note, cell.without].filter(Boolean).join("\n");
  numbers(cell);
  dialog.querySelector(".own").textContent = !cell.native ? "The framework has no function of its own for this call." : cell.native_note ? `${cell.native}: ${cell.native_note}` : `Beside ours: ${cell.native}, shown and not judged.`;
  peers(row, column);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
function numbers(cell) {
  const box = dialog.querySelector(".numbers"); box.replaceChildren();
  if (!cell.findings.length) return;
  const own = cell.findings.some(f => f[5] !== ""), made = make("table", "", box);
  const head = make("tr", "", made.createTHead());
  const titles = ["Number", "expected", "ours", "error", "budget", ...(own ? ["framework’s own", "its error"] : [])];
  titles.forEach(title => make("th", title, head).scope = "col");
  const body = made.createTBody();
  for (const [what, expected, got, error, budget, theirs, apart] of cell.findings) {
    const line = body.insertRow(); make("th", what, line).scope = "row";
    const bad = !(error <= budget), texts = [expected, got, (bad ? "✗ " : "") + units(error), units(budget)];
    if (own) texts.push(theirs === "" ? "–" : theirs, apart === null ? "–" : units(apart));
    texts.forEach((text, i) => make("td", text, line).dataset.label = titles[i + 1]);
    if (bad) line.cells[3].className = "bad";
  }
}
function peers(row, current) {
  const list = dialog.querySelector(".peers"); list.replaceChildren();
  data.columns.forEach((name, column) => {
    const button = make("button", `${name}: ${cellAt(row, column).textContent}`, make("li", "", list));
    button.type = "button"; if (column === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => { open(row, column); dialog.querySelector("[aria-current]").focus({ preventScroll: true }); });
  });
}
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });

// Cells by mouse and by keyboard: one stop for Tab, arrows within.
const place = button => [Number(button.closest("tr").dataset.row), button.parentElement.cellIndex - 1];
table.addEventListener("click", event => { const button = event.target.closest("td button"); if (button) open(...place(button)); });
table.addEventListener("focusin", event => { if (event.target.matches("td button")) { table.querySelector('td button[tabindex="0"]').tabIndex = -1; event.target.tabIndex = 0; } });
table.addEventListener("keydown", event => {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
  if (!step || !event.target.matches("td button")) return;
  event.preventDefault();
  const last = data.columns.length, place = Math.min(Math.max(event.target.parentElement.cellIndex + step[1], 1), last);
  const visible = [...table.querySelectorAll("tr[data-row]:not([hidden])")], line = visible.indexOf(event.target.closest("tr")) + step[0];
  const next = visible[line]?.cells[place].querySelector("button");
  if (next) next.focus();
});
// What sticks to the edges covers no cell that is moved to.
function edges() { box.style.scrollPadding = `${table.tHead.offsetHeight}px 8px 8px ${table.querySelector(".case").offsetWidth + 4}px`; }
addEventListener("resize", edges);
function goto(row, column) {
  ["text", "group", "state"].forEach(id => field(id).value = ""); arrange();
  rows.forEach(r => r.classList.toggle("marked", r.dataset.row === String(row)));
  const cell = cellAt(row, column);
  cell.scrollIntoView({ block: "center", inline: "center" }); cell.focus({ preventScroll: true }); open(row, column);
}
field("jump").addEventListener("click", event => { event.preventDefault(); goto(Number(event.currentTarget.dataset.row), Number(event.currentTarget.dataset.column)); });
arrange();
edges();
