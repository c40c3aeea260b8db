"use strict";
// Takes the place in the page along where a form leads back to it: the server never sees what follows the "#".
document.addEventListener("submit", ({ target }) => {
  const { next } = target.elements;
  if (next && location.hash) next.value = next.value.split("#")[0] + location.hash;
});
