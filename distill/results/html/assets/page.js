"use strict";
// Progressive: without this file the page has its verdict, its figures and the beginning of its tables.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };

  theme();
  tips();
  downloads();
  document.querySelectorAll("section[data-table]").forEach((section) => new Table(section, data.tables[section.dataset.table]));

  // Look ------------------------------------------------------------------------------------------------------------
  function theme() {
    const root = document.documentElement;
    const button = document.getElementById("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    let chosen = null;
    try { chosen = localStorage.getItem("distill-theme"); } catch { /* a page from disk may have no storage */ }
    const dark = () => (chosen ? chosen === "dark" : system.matches);
    const show = () => {
      if (chosen) root.dataset.theme = chosen;
      button.textContent = dark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = dark() ? "light" : "dark";
      try { localStorage.setItem("distill-theme", chosen); } catch { /* likewise */ }
      show();
    });
    system.addEventListener("change", show);
    show();
  }

  // Numbers behind marks: by mouse, by touch, and by arrow keys --------------------------------------------------------
  function tips() {
    const box = document.getElementById("tip");
    let current = null;
    const hide = () => {
      current?.classList.remove("on");
      current = null;
      box.hidden = true;
    };
    const show = (mark) => {
      if (mark === current) return;
      hide();
      current = mark;
      mark.classList.add("on");
      box.textContent = mark.dataset.tip;
      box.hidden = false;
      const at = (mark.querySelector(".dot, .hollow") ?? mark).getBoundingClientRect();
      const own = box.getBoundingClientRect();
      const left = at.left + at.width / 2 - own.width / 2;
      box.style.left = `${Math.max(6, Math.min(left, innerWidth - own.width - 6))}px`;
      box.style.top = `${at.top - own.height - 8 > 0 ? at.top - own.height - 8 : at.bottom + 8}px`;
    };
    for (const mark of document.querySelectorAll(".plot .tip")) {
      const title = mark.querySelector(":scope > title");
      mark.dataset.tip = title.textContent;
      title.remove(); // else the browser shows it a second time
    }
    document.addEventListener("pointerover", (event) => {
      const mark = event.target.closest?.(".plot .tip");
      mark ? show(mark) : hide();
    });
    document.addEventListener("pointerdown", (event) => {
      const mark = event.target.closest?.(".plot .tip");
      if (mark) show(mark);
    });
    addEventListener("scroll", hide, { passive: true });
    for (const plot of document.querySelectorAll(".plot")) {
      const marks = [...plot.querySelectorAll(".tip")];
      if (!marks.length) continue;
      plot.setAttribute("tabindex", "0");
      plot.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (event.key === "Escape") hide();
        if (!step) return;
        event.preventDefault();
        const place = marks.indexOf(current);
        show(marks[place < 0 ? 0 : (place + step + marks.length) % marks.length]);
      });
      plot.addEventListener("blur", hide);
    }
  }

  // Figures as files ---------------------------------------------------------------------------------------------------
  function save(name, content) {
    const link = make("a", { href: URL.createObjectURL(content), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function standalone(plot) {
    const copy = plot.cloneNode(true);
    const kept = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap",
      "stroke-linejoin", "paint-order", "font-family", "font-weight", "font-variant-numeric"];
    const own = [plot, ...plot.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, place) => {
      const style = getComputedStyle(own[place]);
      for (const name of kept) element.style.setProperty(name, style.getPropertyValue(name));
      const tip = element.dataset.tip;
      if (tip) {
        const title = document.createElementNS(copy.namespaceURI, "title");
        title.textContent = tip;
        element.prepend(title);
      }
      for (const name of ["class", "data-tip", "tabindex"]) element.removeAttribute(name);
    });
    const paper = document.createElementNS(copy.namespaceURI, "rect");
    const { width, height } = plot.viewBox.baseVal;
    for (const [name, value] of Object.entries({ width, height, fill: getComputedStyle(document.body).backgroundColor })) {
      paper.setAttribute(name, value);
    }
    copy.prepend(paper);
    return [new XMLSerializer().serializeToString(copy), width, height];
  }

  function downloads() {
    for (const figure of document.querySelectorAll("figure[data-name]")) {
      const actions = figure.querySelector(".actions");
      actions.hidden = false;
      actions.addEventListener("click", async (event) => {
        const kind = event.target.dataset.as;
        if (!kind) return;
        const name = `${figure.dataset.name}.${kind}`;
        if (kind === "csv") return save(name, new Blob([data.figures[figure.dataset.name]], { type: "text/csv" }));
        const plot = [...figure.querySelectorAll(".plot")].find((one) => one.getClientRects().length);
        const [text, width, height] = standalone(plot);
        const drawing = new Blob([text], { type: "image/svg+xml" });
        if (kind === "svg") return save(name, drawing);
        const image = new Image();
        image.src = URL.createObjectURL(drawing);
        await image.decode();
        const canvas = make("canvas", { width: 3 * width, height: 3 * height });
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        URL.revokeObjectURL(image.src);
        canvas.toBlob((picture) => save(name, picture), "image/png");
      });
    }
  }

  // Tables -------------------------------------------------------------------------------------------------------------
  function Table(section, table) {
    const columns = table.columns.map((column) => {
      const text = column.levels !== undefined;
      const value = "constant" in column ? () => column.constant : (row) => (text ? column.codes : column.values)[row];
      const form = text || column.plain ? null
        : new Intl.NumberFormat("en-US", { minimumFractionDigits: column.digits, maximumFractionDigits: column.digits,
          signDisplay: column.sign ? "always" : "auto" });
      const odd = (row) => column.odd?.["constant" in column ? 0 : row];
      return { ...column, text,
        raw: text ? (row) => column.prefix + column.levels[value(row)] : value,
        cell: (row) => {
          if (text) return column.prefix + column.levels[value(row)];
          const number = value(row);
          if (odd(row) !== undefined || number == null) return odd(row) ?? "";
          return column.plain ? String(number) : form.format(number).replace("-", "−");
        } };
    });
    const named = new Map(columns.flatMap((column) => [[column.title.toLowerCase(), column]]));
    columns.forEach((column) => named.set(column.key.toLowerCase(), column));
    const [tools, head, body, foot] = [".tools", "thead", "tbody", ".pages"].map((name) => section.querySelector(name));
    const open = new Set();
    let rows = [...Array(table.rows).keys()], sorted = null, down = false, first = 0;

    const search = make("input", { type: "search", placeholder: "Filter: words, T=4, accuracy>95", "aria-label": `Filter ${table.name}`,
      autocomplete: "off", spellcheck: "false", oninput: () => { first = 0; update(); } });
    const said = make("span", { class: "said", role: "status" });
    const chooser = make("div", { class: "chooser" }, ...columns.map((column) => {
      const box = make("input", { type: "checkbox", checked: column.shown, onchange: () => { column.shown = box.checked; draw(); } });
      return make("label", { title: column.meaning }, box, " ", column.title);
    }));
    const choose = make("details", { class: "choose" }, make("summary", {}, "Columns"), chooser);
    document.addEventListener("click", (event) => { if (!choose.contains(event.target)) choose.open = false; });
    choose.addEventListener("keydown", (event) => { if (event.key === "Escape") choose.open = false; });
    tools.append(search, choose, make("button", { type: "button", onclick: csv }, "CSV"), said);
    tools.hidden = false;
    update();

    function wanted(text) {
      const tests = [];
      for (const word of text.trim().split(/\s+/).filter(Boolean)) {
        const found = word.match(/^([^<>=]+)(<=|>=|=|<|>)(.*)$/);
        const column = found && named.get(found[1].toLowerCase());
        if (found && !column) {
          said.textContent = `No column is called ${found[1]}.`;
          return () => false;
        }
        if (!found) {
          const part = word.toLowerCase();
          tests.push((row) => columns.some((one) => (one.shown || one.text) && one.cell(row).toLowerCase().includes(part)));
        } else if (column.text || found[3] === "") {
          tests.push((row) => (found[2] === "=") === (column.cell(row).toLowerCase() === found[3].toLowerCase()));
        } else {
          const number = Number(found[3]);
          // A number as it is shown is what one asks for.
          const shown = (row) => (column.plain ? column.raw(row) : Number(column.cell(row).replace("−", "-").replaceAll(",", "")));
          const compare = { "=": (a) => a === number, "<": (a) => a < number, ">": (a) => a > number,
            "<=": (a) => a <= number, ">=": (a) => a >= number }[found[2]];
          tests.push((row) => column.raw(row) != null && compare(shown(row)));
        }
      }
      return (row) => tests.every((test) => test(row));
    }

    function update() {
      said.textContent = "";
      const test = wanted(search.value);
      rows = [...Array(table.rows).keys()].filter(test);
      if (sorted) {
        const collate = new Intl.Collator("en", { numeric: true }).compare;
        rows.sort((a, b) => {
          const [x, y] = [sorted.raw(a), sorted.raw(b)];
          const [emptyX, emptyY] = [x == null || x === "", y == null || y === ""];
          if (emptyX || emptyY) return emptyX - emptyY; // what is missing comes last, either way
          const order = sorted.text ? collate(x, y) : x - y;
          return down ? -order : order;
        });
      }
      draw();
    }

    function sort(column) {
      down = sorted === column ? !down : !column.text && !column.plain;
      sorted = column;
      first = 0;
      update();
      head.querySelector(`[data-key="${CSS.escape(column.key)}"] button`)?.focus();
    }

    function draw() {
      const shown = columns.filter((column) => column.shown);
      const details = table.owner.length ? [make("th", { scope: "col" }, make("span", { class: "unit" }, "run"))] : [];
      head.replaceChildren(make("tr", {}, ...details, ...shown.map((column) => make("th", {
        scope: "col", class: column.text ? "" : "number", title: column.meaning, "data-key": column.key,
        "aria-sort": sorted === column ? (down ? "descending" : "ascending") : "none",
      }, make("button", { type: "button", onclick: () => sort(column) }, column.title),
      column.unit ? make("span", { class: "unit" }, ` ${column.unit}`) : ""))));
      const page = rows.slice(first, first + table.page);
      body.replaceChildren(...page.flatMap((row) => line(row, shown)));
      const last = first + page.length;
      const all = (count) => `${count.toLocaleString("en-US")} row${count === 1 ? "" : "s"}`;
      const matching = rows.length === table.rows ? all(table.rows) : `${rows.length.toLocaleString("en-US")} of ${all(table.rows)}`;
      const turn = (label, to) => make("button", { type: "button", disabled: to < 0 || to >= rows.length,
        onclick: () => { first = to; draw(); section.scrollIntoView(); } }, label);
      foot.replaceChildren(rows.length > table.page
        ? `${(first + 1).toLocaleString("en-US")}–${last.toLocaleString("en-US")} of ${matching}` : matching,
      ...(rows.length > table.page ? [turn("Previous", first - table.page), turn("Next", last)] : []));
    }

    function line(row, shown) {
      const cells = shown.map((column) => {
        const text = column.cell(row);
        const cell = make("td", { class: column.text ? "" : "number" }, text);
        if (column.key === "role") cell.replaceChildren(make("span", { class: `dot-role c-${text}` }, text));
        if (column.text && text.length > 40) cell.title = text;
        return cell;
      });
      if (!table.owner.length) return [make("tr", {}, ...cells)];
      const toggle = make("button", { type: "button", "aria-expanded": String(open.has(row)), "aria-label": "Command and environment of this run",
        onclick: () => { open.has(row) ? open.delete(row) : open.add(row); draw(); } }, open.has(row) ? "−" : "+");
      const lines = [make("tr", {}, make("td", {}, toggle), ...cells)];
      if (open.has(row)) {
        lines.push(make("tr", { class: "detail" }, make("td", { colspan: shown.length + 1 }, environment(table.owner[row]))));
      }
      return lines;
    }

    function csv() {
      const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
      const shown = columns.filter((column) => column.shown);
      const header = shown.map((column) => quote(column.unit ? `${column.key} (${column.unit})` : column.key));
      const lines = rows.map((row) => shown.map((column) => quote(String(column.raw(row) ?? ""))).join(","));
      save(`${table.name}.csv`, new Blob([[header.join(","), ...lines, ""].join("\n")], { type: "text/csv" }));
    }
  }

  // The command and the environment of a run ----------------------------------------------------------------------------
  function environment(run) {
    const list = make("dl");
    for (const [name, fact] of Object.entries(data.runs.facts)) {
      const text = fact.prefix + fact.levels["constant" in fact ? fact.constant : fact.codes[run]];
      if (!text) continue;
      const cell = make("dd", {});
      if (name === "Command" || name === "Sweep") cell.append(make("code", {}, text), copy(text));
      else cell.append(text);
      list.append(make("dt", {}, name), cell);
    }
    const box = make("div", { class: "run" }, list);
    const config = data.runs.configs[run];
    if (config?.length) {
      const lines = config.flatMap((part) => (typeof part === "string" ? [part] : data.runs.base.slice(...part)));
      const text = lines.join("\n");
      box.append(make("details", {}, make("summary", {}, "Config"), make("pre", { tabindex: "0" }, text), copy(text)));
    }
    return box;
  }

  function copy(text) {
    const button = make("button", { type: "button", class: "copy", onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
      } catch { // a page from disk may not use it
        const area = make("textarea", {}, text);
        button.after(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } }, "Copy");
    return button;
  }
})();
