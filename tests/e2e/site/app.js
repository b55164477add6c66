// The route is the application's own: the server answers each with index.html (--fallback).
document.getElementById("route").textContent = location.pathname;

const answer = await fetch("/data.json");
const data = await answer.json();
document.getElementById("greeting").textContent = data.greeting;
document.body.dataset.ready = "yes"; // what the tests wait for
