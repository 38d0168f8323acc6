// The visitor's own voice as all parts of the page see it, and the switch that shows it; my_voice.js hears its events.

const ownVoice = Object.assign(new EventTarget(), { heard: 0, known: false, adapted: false });

function tellOwnVoice(heard, known, adapted) {
  Object.assign(ownVoice, { heard, known, adapted });
  ownVoice.dispatchEvent(new Event("change"));
}

// A switch once the voice is known; before that nothing or, with an offer, the way to where it is read.
function makeVoiceSwitch(withOffer = false) {
  const toggle = makeElement("button", { type: "button", className: "voice-toggle", role: "switch" });
  toggle.append(makeElement("span", { className: "voice-knob" }), texts.voice_switch);
  toggle.addEventListener("click", () => ownVoice.dispatchEvent(new Event("switch")));
  const problem = makeElement("span", { className: "voice-problem", role: "status" });
  const offer = makeElement("button", { type: "button", className: "voice-offer", textContent: texts.voice_offer });
  offer.addEventListener("click", () => {
    const tab = document.getElementById("my-voice-tab-button");
    tab.click();
    tab.focus();
  });
  function draw() {
    toggle.hidden = !ownVoice.known;
    toggle.setAttribute("aria-checked", ownVoice.adapted);
    offer.hidden = ownVoice.known || !withOffer;
    problem.textContent = "";
  }
  ownVoice.addEventListener("change", draw);
  ownVoice.addEventListener("lost", () => (problem.textContent = texts.live_lost));
  draw();
  return makeElement("div", { className: "voice-switch" }, toggle, offer, problem);
}

// What an answer says of itself, with the remark that it is corrected for the voice where it is, and what it was without.
function remarkAdapted(words, adapted, before = {}) {
  const [was] = Object.entries(before).sort((a, b) => b[1] - a[1]);
  const remark = was ? ` (${fill(texts.voice_was, { emotion: nameOf(was[0]), percent: percent(was[1]) })})` : "";
  return adapted ? `${words} · ${texts.voice_adapted}${remark}` : words;
}
