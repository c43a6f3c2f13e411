// What scripts of a docs site know of its reader: window.vestibule, and the event "vestibule:user" once it is known.
(() => {
  // This script is {base}/_handshake/reader.js, so what is beside it is ours.
  const handshake = new URL(".", document.currentScript.src);

  const signInAddress = () => {
    const address = new URL("sign-in", handshake);
    address.searchParams.set("return_to", location.pathname + location.search + location.hash);
    return address.href;
  };

  const vestibule = {
    user: {},
    groups: [],
    signedIn: false,
    apiPlaygroundInputs: {},
    signIn() {
      location.assign(signInAddress());
    },
    signOut() {
      location.assign(new URL("sign-out", handshake).href);
    },
  };
  window.vestibule = vestibule;

  // The server does not see the anchor of a page, so the link learns it here, at the last moment.
  const keepAnchor = (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[data-sign-in]") : null;
    if (link) link.href = signInAddress();
  };
  addEventListener("click", keepAnchor, true);
  addEventListener("auxclick", keepAnchor, true);

  // A value that the reader typed wins over the one that was told, and stays in this browser.
  const place = (input) => `vestibule:playground:${handshake.pathname}:${input.dataset.playgroundInput}`;
  const own = (input) => {
    try {
      return localStorage.getItem(place(input));
    } catch {
      return null;
    }
  };
  const keep = (input) => {
    try {
      if (input.value === "") localStorage.removeItem(place(input));
      else localStorage.setItem(place(input), input.value);
    } catch {
      // A browser that keeps nothing asks again.
    }
  };
  const told = (input) => {
    const [, kind, name] = /^([a-z]+):(.+)$/.exec(input.dataset.playgroundInput ?? "") ?? [];
    const values = Object.entries(vestibule.apiPlaygroundInputs[kind] ?? {});
    const same = ([known]) =>
      kind === "header" ? known.toLowerCase() === name.toLowerCase() : known === name;
    return values.find(same)?.[1];
  };
  const fill = () => {
    for (const input of document.querySelectorAll("[data-playground-input]")) {
      const value = own(input) ?? told(input);
      if (value === undefined || value === input.value) continue;
      input.value = value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
  addEventListener(
    "change",
    (event) => {
      const input = event.target;
      if (input instanceof Element && input.matches("[data-playground-input]")) keep(input);
    },
    true,
  );

  const become = (known) => {
    vestibule.user = known.user ?? {};
    vestibule.groups = known.groups ?? [];
    vestibule.signedIn = known.signedIn === true;
    vestibule.apiPlaygroundInputs = known.apiPlaygroundInputs ?? {};
    fill();
    dispatchEvent(new CustomEvent("vestibule:user", { detail: vestibule }));
  };

  const start = async () => {
    const block = document.getElementById("vestibule-reader");
    if (block) {
      become(JSON.parse(block.textContent));
      return;
    }
    try {
      const answer = await fetch(new URL("user", handshake), { credentials: "same-origin" });
      become(answer.ok ? await answer.json() : {});
    } catch {
      become({});
    }
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
