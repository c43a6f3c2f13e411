// Small comforts. Every page works without this file.

// Scripts run: show what only works with them.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  const word = button.querySelector("[data-reveal-word]");
  if (!field || !word) continue;
  const show = (visible) => {
    field.type = visible ? "text" : "password";
    word.textContent = visible ? "Hide" : "Show";
  };
  button.hidden = false;
  button.addEventListener("click", () => show(field.type === "password"));
  // A shown password is hidden again before it is sent, so that the browser does not remember it as plain text.
  field.form?.addEventListener("submit", () => show(false));
}

// How long a new password still has to become. Whether it is easy to guess, the server says.
for (const field of document.querySelectorAll("[data-new-password]")) {
  const live = field.closest(".field")?.querySelector("[data-password-length]");
  if (!live) continue;
  field.addEventListener("input", () => {
    const missing = field.minLength - [...field.value].length;
    live.hidden = field.value === "";
    live.classList.toggle("enough", missing <= 0);
    live.textContent =
      missing > 1 ? `${missing} more characters` : missing === 1 ? "One more character" : "Long enough";
  });
}

// An error is read first.
document.getElementById("form-error")?.focus();

// A form is sent once. A page that comes back from the browser's history can be sent again.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.classList.add("busy");
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.forms) delete form.dataset.sent;
  for (const button of document.querySelectorAll(".busy")) button.classList.remove("busy");
});

// A logo that does not load gives way to the app's first letter.
for (const logo of document.querySelectorAll("[data-logo]")) {
  const replace = () => {
    logo.hidden = true;
    if (logo.nextElementSibling) logo.nextElementSibling.hidden = false;
  };
  if (logo.complete && logo.naturalWidth === 0) replace();
  else logo.addEventListener("error", replace);
}

// An answer to an app sends itself, but not again when the person comes back to it: it may be used once.
const answer = document.querySelector("form[data-auto-submit]");
if (answer && performance.getEntriesByType("navigation")[0]?.type !== "back_forward") {
  // A field may be called "submit" and hide the form's own method.
  HTMLFormElement.prototype.submit.call(answer);
}
