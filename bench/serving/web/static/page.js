"use strict";
// What scripts add to a page that answers without them: the expression drawn while it is typed, answers without a new
// page, and a history. All drawing is the server's: this file moves what it sends.
const MOST = 200; // entries of the history
const PAUSE = 150; // milliseconds without a key before the server is asked to draw

const form = document.querySelector("#ask");
const field = form.elements.expression;
const preview = document.querySelector("#preview");
const said = document.querySelector("#said");
const KEY = `arithbench-history ${form.dataset.run}`; // each run served from here has its own

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

// --- the expression as it is typed

let waiting, drawing;
async function draw() {
  drawing?.abort();
  drawing = new AbortController();
  const expression = field.value;
  preview.hidden = expression.trim() === "";
  if (preview.hidden) {
    return;
  }
  try {
    const response = await fetch("/api/read", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ expression }),
      signal: drawing.signal,
    });
    const read = await response.json();
    preview.classList.toggle("unread", !response.ok);
    if (response.ok) {
      preview.replaceChildren(...parsed(read.mathml).body.childNodes);
    } else {
      preview.textContent = read.error;
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      preview.textContent = "The server does not answer.";
      preview.classList.add("unread");
    }
  }
}
field.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(draw, PAUSE);
});

// --- answers

let asking;
async function ask(expression) {
  asking?.abort(); // whoever asks anew waits for the new answer alone
  const mine = (asking = new AbortController());
  field.value = expression;
  clearTimeout(waiting);
  draw();
  const answers = document.querySelector("#answers");
  answers.setAttribute("aria-busy", "true");
  let page;
  try {
    const response = await fetch("/", {
      method: "POST",
      body: new URLSearchParams({ expression }),
      signal: mine.signal,
    });
    page = parsed(await response.text()).querySelector("#answers");
  } catch {
    page = null;
  }
  if (mine.signal.aborted) {
    return;
  }
  answers.removeAttribute("aria-busy");
  if (page === null) {
    const wrong = document.createElement("p");
    wrong.className = "error";
    wrong.setAttribute("role", "alert");
    wrong.textContent = "The server does not answer.";
    answers.replaceChildren(wrong);
  } else {
    answers.replaceChildren(...page.childNodes);
  }
  remember(expression);
}
for (const some of document.querySelectorAll("form")) {
  some.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(some === form ? field.value : event.submitter.value);
  });
}

// --- history: kept in this browser alone

const past = document.querySelector("#history");

function kept() {
  try {
    const entries = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(entries) ? entries : [];
  } catch {
    return []; // another hand wrote it, or the browser keeps nothing
  }
}

function keep(entries) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries.slice(-MOST)));
  } catch {
    // The browser keeps nothing: then the history is empty.
  }
  show();
}

function remember(expression) {
  const text = document.querySelector("#text");
  said.textContent = "";
  if (text !== null) {
    const asked = {
      when: new Date().toISOString(),
      expression,
      equation: document.querySelector("#result math").getAttribute("alttext"),
      summary: document.querySelector("#summary").textContent,
      text: text.textContent.trim(),
    };
    said.textContent = `${asked.equation}: ${asked.summary}`;
    keep([...kept(), asked]);
  }
}

function show() {
  const entries = kept();
  past.hidden = entries.length === 0;
  past.querySelector("ol").replaceChildren(
    ...entries.reverse().map((entry) => {
      const line = document.createElement("li");
      const again = document.createElement("button");
      again.type = "button";
      again.textContent = entry.equation;
      again.title = "Ask again";
      again.addEventListener("click", () => {
        field.focus(); // this list is made anew
        ask(entry.expression);
      });
      line.append(again, ` ${entry.summary}`);
      return line;
    }),
  );
}

document.querySelector("#save").addEventListener("click", () => {
  const text = kept().map((entry) => `${entry.when}\n${entry.text}\n`).join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = "arithbench-history.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
document.querySelector("#clear").addEventListener("click", () => {
  keep([]);
  field.focus();
});

show();
if (field.value !== "") {
  draw();
}
