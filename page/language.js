// Shared by the page's scripts, in front of each of them.

function chooseTexts(byLanguage) {
  return byLanguage[navigator.language] ?? byLanguage[navigator.language.split("-")[0]] ?? byLanguage.en;
}

function formatClock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
