// Before anything is drawn: the theme that was chosen last, so that the page does not flash.
try {
  const chosen = localStorage.getItem("understudy.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage may be forbidden: then the system decides */ }
