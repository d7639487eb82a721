"use strict";
// One texture plays at a time; the regions that it came from light up in its source's waveform. Without this script the
// browser's own players and links do the work.
(() => {
  const textures = [...document.querySelectorAll(".texture")];
  const regionsOf = (texture) => document.querySelectorAll(`.region[href="#${texture.id}"]`);
  const mark = (texture, on) => {
    texture.classList.toggle("on", on);
    regionsOf(texture).forEach((region) => region.classList.toggle("on", on));
  };
  textures.forEach((texture) => {
    const audio = texture.querySelector("audio"), seen = texture.querySelector(".seen");
    const line = seen && seen.appendChild(document.createElement("i"));
    const length = () => (Number.isFinite(audio.duration) && audio.duration) || Number(texture.dataset.duration);
    const draw = () => {
      if (line) {
        line.style.visibility = audio.currentTime > 0 || !audio.paused ? "visible" : "hidden";
        line.style.left = (100 * audio.currentTime) / length() + "%";
      }
      if (!audio.paused) requestAnimationFrame(draw);
    };
    audio.addEventListener("play", () => {
      textures.forEach((other) => { if (other !== texture) { other.querySelector("audio").pause(); mark(other, false); } });
      mark(texture, true);
      draw();
    });
    audio.addEventListener("ended", () => mark(texture, false));
    audio.addEventListener("timeupdate", draw);
    texture.addEventListener("pointerenter", () => mark(texture, true));
    texture.addEventListener("pointerleave", () => { if (audio.paused) mark(texture, false); });
    if (seen) seen.addEventListener("click", (event) => {
      const box = seen.getBoundingClientRect();
      audio.currentTime = ((event.clientX - box.left) / box.width) * length();
      audio.play().catch(() => {});
    });
  });
  document.querySelectorAll(".region").forEach((region) => region.addEventListener("click", () => {
    const texture = document.getElementById(region.hash.slice(1));
    if (texture) texture.querySelector("audio").play().catch(() => {});
  }));
})();
