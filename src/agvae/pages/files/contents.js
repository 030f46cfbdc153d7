"use strict";
(() => {
  const headings = [...document.querySelectorAll(".picture h2")];
  const nav = document.querySelector("nav");
  if (nav && headings.length > 1) {
    const list = nav.appendChild(document.createElement("ul"));
    for (const heading of headings) {
      const link = document.createElement("a");
      link.href = `#${heading.parentElement.id}`;
      link.textContent = heading.textContent;
      list.appendChild(document.createElement("li")).append(link);
    }
    nav.hidden = false;
  }
})();
