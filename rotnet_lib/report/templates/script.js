// What a page can do beyond being read; without it nothing of the content is missing.
// Tables of class "sortable": a click on a heading sorts them by that column, a second one the other way round. The lines of a
// <tbody> stay together where a table has several.
for (const table of document.querySelectorAll("table.sortable")) {
  const several = table.tBodies.length > 1;
  const value = (part, column) => {
    const line = several ? part.rows[0] : part;
    const cell = line.cells[column];
    const text = cell ? cell.dataset.sort ?? cell.innerText.trim() : "";
    return /^[-+]?[\d,]*\.?\d+(?![-:\d])/.test(text) ? parseFloat(text.replaceAll(",", "")) : text.toLowerCase();
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const up = heading.classList.contains("sorted") && !heading.classList.contains("up");
      table.tHead.querySelectorAll(".sorted").forEach((other) => other.classList.remove("sorted", "up"));
      heading.classList.add("sorted");
      heading.classList.toggle("up", up);
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = several ? table : table.tBodies[0];
      const parts = several ? [...table.tBodies] : [...body.rows];
      parts.sort((one, other) => {
        const [a, b] = [value(one, column), value(other, column)];
        const empty = (a === "") - (b === "");
        if (empty) return empty; // what has no figure stays at the end
        const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
        return (typeof a === "number" ? -order : order) * (up ? -1 : 1); // figures: the highest first
      });
      body.append(...parts);
    });
  });
}
// Buttons that copy the text beside them. A page that is opened as a file may not be allowed to: then the text is selected.
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.closest("details").querySelector("pre");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "selected: press Ctrl-C";
    }
  });
}
// Parameters survive printing.
addEventListener("beforeprint", () => document.querySelectorAll("details.parameters").forEach((part) => (part.open = true)));
