// Keeps the sum of the chosen invoices in sight. Without it the sum of all is shown, and the page
// that follows tells the exact one before anything is paid.
const euros = new Intl.NumberFormat(document.documentElement.lang === "en" ? "en-GB" : "fr-FR", {
  style: "currency",
  currency: "EUR",
});

for (const form of document.querySelectorAll("form.choice")) {
  const [whole, chosen] = form.querySelectorAll(".till p");
  const button = form.querySelector(".till button");
  const count = () => {
    const boxes = [...form.querySelectorAll("input[data-cents]:checked")];
    const cents = boxes.reduce((sum, box) => sum + Number(box.dataset.cents), 0);
    chosen.querySelector("strong").textContent = euros.format(cents / 100);
    button.disabled = boxes.length === 0;
  };
  whole.hidden = true;
  chosen.hidden = false;
  form.addEventListener("change", count);
  // A browser that comes back to the page may have kept other boxes checked.
  addEventListener("pageshow", count);
  count();
}
