"use strict";
// Sorts, searches and turns the pages of the tables. All texts of the data become text nodes, and never markup.
(() => {
  const PER_PAGE = 50;
  const ON_PAPER = 100;
  const views = new Map();
  const number = new Intl.NumberFormat("en");

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // Sorts places by the key of each place. Equal ones keep their order.
  const sorted = (places, keys, sign) =>
    places.sort((one, other) => (keys[one] < keys[other] ? -sign : keys[one] > keys[other] ? sign : one - other));

  class View {
    constructor(table) {
      Object.assign(this, table);
      this.section = document.getElementById(this.key);
      this.body = this.section.querySelector("tbody");
      this.order = this.rows.map((_, place) => place);
      this.shown = this.order;
      this.first = 0;
      this.perPage = PER_PAGE;
      this.byKey = new Map(this.prefix ? this.rows.map((row, place) => [row[0], place]) : []);
      this.addButtons();
      this.addTools();
    }

    value(row, column, place) {
      const cell = row[place + 1];
      return column.values ? column.values[cell] : cell;
    }

    words(row) {
      const words = this.columns.map((column, place) => {
        const value = this.value(row, column, place);
        return Array.isArray(value) ? value[0] : String(value);
      });
      const own = this.columns.findIndex((column) => column.kind === "own");
      if (own >= 0) words.push(row[0], words[own].replace(/\D/g, ""));
      return words.join("\n").toLowerCase();
    }

    prepare() {
      this.texts ??= this.rows.map((row) => this.words(row));
      return this.texts;
    }

    addButtons() {
      this.heads = [...this.section.querySelectorAll("thead th")];
      this.heads.forEach((head, place) => {
        const button = make("button", { type: "button" }, head.textContent);
        button.addEventListener("click", () => this.sort(place));
        head.dataset.name = head.textContent;
        head.replaceChildren(button);
      });
      this.section.querySelector("thead").classList.remove("bare");
    }

    addTools() {
      const label = `Search ${this.title.toLowerCase()}`;
      this.input = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
      this.input.addEventListener("input", () => this.search());
      this.range = make("p", { class: "range", role: "status" });
      this.buttons = ["First", "Previous", "Next", "Last"].map((name) => {
        const button = make("button", { type: "button", "aria-label": `${name} rows of ${this.title}` }, name);
        button.addEventListener("click", () => this.turn(name));
        return button;
      });
      this.pager = make("div", { class: "pager" }, ...this.buttons);
      const tools = make("div", { class: "tools" }, make("label", {}, label, this.input), this.range, this.pager);
      this.section.querySelector(".range").replaceWith(tools);
    }

    sort(place) {
      const head = this.heads[place];
      const isDown = head.getAttribute("aria-sort") === "ascending";
      for (const other of this.heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      const { kind, values } = this.columns[place];
      const keys = this.rows.map((row) => {
        const cell = row[place + 1];
        return values || kind === "count" ? cell : (Array.isArray(cell) ? cell[0] : cell).toLowerCase();
      });
      sorted(this.order, keys, isDown ? -1 : 1);
      this.search();
    }

    search() {
      const wanted = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const texts = wanted.length ? this.prepare() : [];
      this.shown = wanted.length ? this.order.filter((place) => wanted.every((word) => texts[place].includes(word))) : this.order;
      this.first = 0;
      this.draw();
    }

    turn(name) {
      const last = Math.max(0, Math.ceil(this.shown.length / this.perPage) - 1) * this.perPage;
      const next = { First: 0, Previous: this.first - this.perPage, Next: this.first + this.perPage, Last: last };
      this.first = Math.min(last, Math.max(0, next[name]));
      this.draw();
    }

    draw() {
      const places = this.shown.slice(this.first, this.first + this.perPage);
      this.body.replaceChildren(...places.map((place) => this.line(this.rows[place])));
      const count = this.shown.length;
      const of = count === this.rows.length ? number.format(count) : `${number.format(count)} found in ${number.format(this.rows.length)}`;
      const from = number.format(this.first + 1);
      this.range.textContent = count ? `Rows ${from} to ${number.format(this.first + places.length)} of ${of}` : `Nothing found in ${number.format(this.rows.length)} rows`;
      const isFirst = this.first === 0;
      const isLast = this.first + this.perPage >= count;
      [isFirst, isFirst, isLast, isLast].forEach((isOff, place) => (this.buttons[place].disabled = isOff));
      this.pager.hidden = isFirst && isLast;
    }

    line(row) {
      const cells = this.columns.map((column, place) => this.cell(row, column, place));
      const line = make("tr", { role: "row" }, ...cells);
      if (this.prefix) {
        line.id = `${this.prefix}-${row[0]}`;
        line.tabIndex = -1;
      }
      return line;
    }

    cell(row, column, place) {
      const value = this.value(row, column, place);
      const cell = make("td", { role: "cell", class: column.class, "data-name": column.name });
      const content = make("span", {});
      cell.append(content);
      if (column.kind === "count") content.textContent = number.format(value);
      else if (column.kind === "mark") content.append(make("span", { class: `mark ${value[1]}` }, make("bdi", {}, value[0])));
      else if (column.kind === "link") content.append(link(value[0], value[1]));
      else if (column.kind === "own") {
        content.append(link(value, `${this.prefix}-${row[0]}`));
        if (value !== row[0]) content.append(make("small", {}, make("bdi", {}, row[0])));
      } else content.append(make("bdi", {}, value));
      return cell;
    }

    reveal(key) {
      const row = this.byKey.get(key);
      if (row === undefined) return false;
      if (!this.shown.includes(row)) {
        this.input.value = "";
        this.shown = this.order;
      }
      const place = this.shown.indexOf(row);
      this.first = place - (place % this.perPage);
      this.draw();
      const line = this.body.children[place - this.first];
      line.classList.add("found");
      line.focus({ preventScroll: true });
      line.scrollIntoView({ block: "center" });
      return true;
    }
  }

  const viewOf = (target) => {
    for (const view of views.values()) {
      if (view.prefix && target.startsWith(`${view.prefix}-`)) return [view, target.slice(view.prefix.length + 1)];
    }
    return [];
  };

  // A text, and a link if the page has the row.
  const link = (text, target) => {
    const [view, key] = viewOf(target);
    const shown = make("bdi", {}, text);
    return view?.byKey.has(key) ? make("a", { href: `#${encodeURIComponent(target)}` }, shown) : shown;
  };

  const go = (target) => {
    const [view, key] = viewOf(target);
    if (view?.reveal(key)) return;
    const element = document.getElementById(target);
    element?.scrollIntoView();
    element?.focus({ preventScroll: true });
  };

  const goToHash = () => {
    try {
      if (location.hash) go(decodeURIComponent(location.hash.slice(1)));
    } catch (error) {
      if (!(error instanceof URIError)) throw error; // somebody has typed the address
    }
  };

  // A frame of a notebook has no address of its own, so links inside the page are followed here.
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href^='#']");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const hash = anchor.getAttribute("href");
    try {
      history.pushState(null, "", hash);
    } catch {
      // A frame may have no history.
    }
    const view = views.get(anchor.dataset.table);
    if (view) {
      view.input.value = anchor.dataset.find;
      view.search();
    }
    go(decodeURIComponent(hash.slice(1)));
  });

  for (const table of JSON.parse(document.getElementById("data").textContent)) {
    if (table.rows.length) views.set(table.key, new View(table));
  }
  for (const view of views.values()) view.draw();
  addEventListener("popstate", goToHash);
  goToHash();

  const onPaper = (isOnPaper) => () => {
    for (const view of views.values()) {
      view.perPage = isOnPaper ? ON_PAPER : PER_PAGE;
      view.draw();
    }
  };
  addEventListener("beforeprint", onPaper(true));
  addEventListener("afterprint", onPaper(false));

  // The first search need not wait for this.
  (window.requestIdleCallback ?? setTimeout)(() => views.forEach((view) => view.prepare()));
})();
