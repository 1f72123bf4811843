// A leader's answer. The secret of the link goes into the body of one request and nowhere else.
"use strict";

const form = document.getElementById("answer");
const said = document.getElementById("said");
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);  // neither in the history nor on a screenshot

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const buttons = form.querySelectorAll("button");
  const body = { token, says: event.submitter.value, note: document.getElementById("note").value };
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const answer = await fetch("/api/v1/groups/answer", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    if (answer.ok) {
      const taken = await answer.json();
      said.textContent = `${form.dataset[taken.says]} ${taken.group}`;
    } else {
      said.textContent = answer.status === 404 || answer.status === 422 ? form.dataset.wrong : form.dataset.fails;
    }
  } catch {
    said.textContent = form.dataset.fails;
  }
  buttons.forEach((button) => { button.disabled = false; });
});
