// Keys of the list; on a narrow screen the filters begin closed.
const field = document.getElementById("sql");
const form = document.querySelector("form.ask");

if (window.matchMedia("(max-width: 60rem)").matches) {
  document.querySelector(".filters")?.removeAttribute("open");
}

field?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// An empty field leaves no trace in the address.
form?.addEventListener("formdata", (event) => {
  for (const name of ["q", "sql"]) {
    if (!String(event.formData.get(name) ?? "").trim()) event.formData.delete(name);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("q").focus();
  }
  const rel = { n: "next", p: "prev" }[event.key];
  if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
});
