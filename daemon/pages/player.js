"use strict";
// One recording plays at a time; its playhead runs over its picture; clicks and keys seek. Without this script the
// browser's own players and links to times in the files do the work.
(() => {
  const LEFT = Number(document.body.dataset.left), RIGHT = Number(document.body.dataset.right);
  const cards = [...document.querySelectorAll(".card, .take")].filter((card) => card.querySelector("audio"));
  let current = null;
  document.documentElement.classList.add("js");

  const clock = (s, tenths) => {
    const whole = Math.floor(s), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    const rest = String(whole % 60).padStart(2, "0") + (tenths ? "." + Math.floor((s % 1) * 10) : "");
    return h ? `${h}:${String(m).padStart(2, "0")}:${rest}` : `${m}:${rest}`;
  };
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  cards.forEach((card) => {
    const audio = card.querySelector("audio"), scope = card.matches(".card") && card.querySelector(".scope");
    const jumps = [...card.querySelectorAll("a[data-seek]")];
    const length = () => (Number.isFinite(audio.duration) && audio.duration) || Number(card.dataset.duration) || 0;
    const place = (line, t) => { line.style.left = 100 * (LEFT + clamp(t / length(), 0, 1) * (1 - LEFT - RIGHT)) + "%"; };
    card.seek = (t, play) => {
      audio.currentTime = clamp(t, 0, length() || t);
      current = card;
      draw();
      if (play && audio.paused) audio.play().catch(() => {});
    };

    let head, draw = () => {};
    if (scope) {
      const ghost = document.createElement("span"), label = document.createElement("span");
      head = document.createElement("span");
      head.className = "head-line"; ghost.className = "ghost"; ghost.append(label); scope.append(ghost, head);
      scope.tabIndex = 0;
      scope.setAttribute("role", "slider");
      scope.setAttribute("aria-label", "Position in " + card.dataset.name);
      scope.setAttribute("aria-valuemin", "0");
      const at = (event) => {
        const box = scope.getBoundingClientRect();
        return clamp(((event.clientX - box.left) / box.width - LEFT) / (1 - LEFT - RIGHT), 0, 1) * length();
      };
      let dragging = false;
      scope.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        dragging = true; scope.setPointerCapture(event.pointerId); card.seek(at(event), true);
      });
      scope.addEventListener("pointermove", (event) => {
        if (dragging) card.seek(at(event), false);
        if (event.pointerType !== "mouse") return;
        const t = at(event);
        place(ghost, t); label.textContent = clock(t, length() < 600); ghost.classList.add("seen");
        ghost.classList.toggle("left", t > length() * 0.9);
      });
      ["pointerup", "pointercancel"].forEach((name) => scope.addEventListener(name, () => { dragging = false; }));
      scope.addEventListener("pointerleave", () => ghost.classList.remove("seen"));
      scope.querySelector("img").draggable = false;
    }
    let shown = -1, on = null;
    draw = () => {
      const t = audio.currentTime;
      const now = jumps.filter((jump) => Number(jump.dataset.seek) <= t + 0.05 && t > 0).pop() || null;
      if (now !== on) { on?.classList.remove("on"); now?.classList.add("on"); on = now; }
      if (!scope) return;
      if (length()) place(head, t);
      head.classList.toggle("seen", t > 0 || !audio.paused);
      if (Math.floor(t) !== shown) {
        shown = Math.floor(t);
        scope.setAttribute("aria-valuemax", String(Math.round(length())));
        scope.setAttribute("aria-valuenow", String(shown));
        scope.setAttribute("aria-valuetext", `${clock(t)} of ${clock(length())}`);
      }
    };
    const run = () => { draw(); if (!audio.paused) requestAnimationFrame(run); };
    audio.addEventListener("play", () => {
      cards.forEach((other) => {
        if (other === card) return;
        other.querySelector("audio").pause(); other.classList.remove("now");
      });
      current = card; card.classList.add("now"); run();
    });
    ["timeupdate", "seeked", "loadedmetadata", "pause"].forEach((name) => audio.addEventListener(name, () => draw()));
    audio.addEventListener("ended", () => card.classList.remove("now"));
    jumps.forEach((jump) => jump.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault(); card.seek(Number(jump.dataset.seek), true);
    }));
    draw();
  });

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("audio, input, textarea, select")) return;
    const own = target.closest(".card, .take");
    const card = (target.matches("[role=slider]") && own) || current || own || cards[0];
    if (!card) return;
    const audio = card.querySelector("audio"), step = event.shiftKey ? 30 : 5;
    if (event.key === " " && !target.closest("a, button, summary")) {
      if (audio.paused) { current = card; audio.play().catch(() => {}); } else audio.pause();
    } else if (event.key === "ArrowRight") card.seek(audio.currentTime + step);
    else if (event.key === "ArrowLeft") card.seek(audio.currentTime - step);
    else if (event.key === "Home" && target.matches("[role=slider]")) card.seek(0);
    else return;
    event.preventDefault();
  });

  const copied = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* An older way, for pages from disk. */ }
    const area = document.createElement("textarea");
    area.value = text; area.style.position = "fixed"; area.style.opacity = "0"; document.body.append(area); area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  document.querySelectorAll("button[data-copy]").forEach((button) => {
    const words = button.textContent, pre = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      button.textContent = (await copied(pre.textContent)) ? "Copied" : "Select and copy by hand";
      setTimeout(() => { button.textContent = words; }, 1600);
    });
  });
  document.querySelectorAll("button[data-draw]").forEach((button) => button.addEventListener("click", () => {
    document.querySelector(`#${button.dataset.draw} mark`).textContent = crypto.getRandomValues(new Uint32Array(1))[0];
  }));
})();
