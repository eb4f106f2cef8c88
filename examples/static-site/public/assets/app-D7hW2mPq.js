const view = document.querySelector("#view");
const order = location.pathname.match(/^\/orders\/(\d+)$/);
if (order) {
  view.textContent = `Order ${order[1]}`;
}
