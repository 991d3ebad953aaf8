// The search finds sections that contain all words. It loads its index when it is first needed.
"use strict"
const root = document.currentScript.dataset.root
const query = document.getElementById("query"), found = document.getElementById("found"), menu = document.getElementById("menu")
const most = 20

if (matchMedia("(min-width: 900px)").matches) menu.open = true

let loading
function load() {
  loading ??= new Promise((done, failed) => {
    const s = document.createElement("script")
    s.src = root + "search-index.js"
    s.onload = () => done(window.searchIndex)
    s.onerror = failed
    document.head.append(s)
  })
  return loading
}

// find returns the sections that contain all words of a text, best match first.
function find(index, text) {
  const words = text.toLowerCase().split(/\s+/).filter(w => w)
  if (!words.length) return []
  const hits = []
  for (const s of index) {
    const title = (s.t + " " + s.p).toLowerCase(), body = s.x.toLowerCase()
    let score = 0
    for (const w of words) {
      const inTitle = title.includes(w), inBody = body.split(w).length - 1
      if (!inTitle && !inBody) { score = 0; break }
      score += (s.t.toLowerCase().includes(w) ? 20 : inTitle ? 8 : 0) + Math.min(inBody, 5)
    }
    if (score && body.includes(words.join(" "))) score += 5
    if (score) hits.push([score, s])
  }
  return hits.sort((a, b) => b[0] - a[0]).slice(0, most).map(h => h[1])
}

// excerpt returns the text around the first match.
function excerpt(s, text) {
  const at = Math.max(0, s.x.toLowerCase().indexOf(text.toLowerCase().split(/\s+/)[0]) - 40)
  return (at ? "…" : "") + s.x.slice(at, at + 160) + (s.x.length > at + 160 ? "…" : "")
}

async function show() {
  const text = query.value.trim()
  const hits = text ? find(await load(), text) : []
  if (text !== query.value.trim()) return
  found.replaceChildren(...hits.map(s => {
    const li = document.createElement("li"), a = document.createElement("a"), small = document.createElement("small")
    a.href = root + s.a
    a.textContent = s.t === s.p ? s.t : s.p + ": " + s.t
    small.textContent = excerpt(s, text)
    li.append(a, small)
    return li
  }))
  if (text && !hits.length) found.append(Object.assign(document.createElement("li"), {textContent: "Nothing found."}))
  found.hidden = !text
}

query.addEventListener("focus", load)
query.addEventListener("input", show)
query.addEventListener("keydown", e => { if (e.key === "Escape") { query.value = ""; show() } })
found.addEventListener("click", e => { if (e.target.tagName === "A") found.hidden = true })
document.getElementById("search").addEventListener("submit", e => {
  e.preventDefault()
  const first = found.querySelector("a")
  if (first) { found.hidden = true; location.href = first.href }
})
