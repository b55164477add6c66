"""The three charts, drawn by gnuplot from the samples, as SVG and PNG."""
import re
import subprocess

from lib import figures
from lib.machine import Failure

COREACTOR, LIMIT = "#1f5fa8", "#8a8a8a"
# One colour a program, one dash a team: the same in every chart.
STYLES = {"coreactor-multi": f"lc rgb '{COREACTOR}' dt 1 pt 7",
          "limit-multi": f"lc rgb '{LIMIT}' dt 1 pt 5",
          "coreactor-single": f"lc rgb '{COREACTOR}' dt 2 pt 6",
          "limit-single": f"lc rgb '{LIMIT}' dt 2 pt 4"}
PERCENTILE_COLOURS = {"p50": "#9ecae1", "p75": "#6baed6", "p90": "#3182bd", "p99": "#08519c"}
TERMINALS = {"svg": "svg size 900,540 font 'sans-serif,14' background 'white' dynamic",
             "png": "pngcairo size 1350,810 font 'sans,16' background 'white'"}
COMMON = """
set encoding utf8
set border 3 lc rgb '#555555'
set tics nomirror out
set grid y lc rgb '#e4e4e4' lt 1 lw 1
set logscale x
set xtics ('1' 1, '2' 2, '5' 5, '10' 10, '20' 20, '50' 50, '100' 100, '200' 200, '500' 500, \\
           '1,000' 1000, '2,000' 2000, '5,000' 5000, '10,000' 10000)
set xlabel 'open connections'
set title font ',17'
set key at screen 0.5,0.015 center bottom horizontal maxrows 2 samplen 3
set bmargin 6.5
"""


def labels(settings):
    threads = settings["threads"]
    return {"coreactor-multi": f"coreactor, {threads} threads", "coreactor-single":
            "coreactor, 1 thread", "limit-multi": f"limit, {threads} threads",
            "limit-single": "limit, 1 thread"}


def points(samples, server, name, scale=1.0):
    """(connections that were open, low, median, high) for every point of the sweep."""
    sweep = figures.select(samples, phase="sweep", server=server)
    for opened in sorted({s["opened"] for s in sweep}):
        value = figures.middle(sweep, name, opened=opened)
        if value:
            yield opened, value.low * scale, value.median * scale, value.high * scale


def block(name, rows):
    """A named block of data; gnuplot refuses an empty one, so a gap stands for no data."""
    lines = [" ".join(f"{number:.6g}" for number in row) for row in rows] or ["NaN NaN NaN NaN"]
    return "\n".join([f"${name} << END", *lines, "END"])


def identifier(*parts):
    return "_".join(parts).replace("-", "_")


def team_chart(samples, settings, name, scale):
    """The four curves with the range of their rounds behind them."""
    blocks, ranges, lines = [], [], []
    for server, style in STYLES.items():
        data = identifier(server)
        blocks.append(block(data, points(samples, server, name, scale)))
        colour = style.split(" dt")[0]
        ranges.append(f"${data} u 1:2:4 w filledcurves fs transparent solid 0.12 noborder "
                      f"{colour} notitle")
        lines.append(f"${data} u 1:3 w linespoints lw 2 ps 0.8 {style} "
                     f"title '{labels(settings)[server]}'")
    return "\n".join(blocks) + "\nplot " + ", \\\n     ".join(ranges + lines) + "\n"


def requests_chart(samples, settings):
    return COMMON + """
set title 'Requests per minute (median and range of the rounds)'
set ylabel 'million requests per minute'
set yrange [0:*]
""" + team_chart(samples, settings, "requests_per_s", 60 / 1e6)


def cpu_chart(samples, settings):
    return COMMON + """
set title 'CPU time of the server per request (median and range of the rounds)'
set ylabel 'µs per request'
set yrange [0:*]
""" + team_chart(samples, settings, "cpu_us", 1.0)


def latency_chart(samples, settings):
    blocks, lines = [], []
    for server, dash in (("coreactor-multi", "dt 1"), ("limit-multi", "dt 3")):
        for name, colour in PERCENTILE_COLOURS.items():
            if server == "limit-multi" and name not in ("p50", "p99"):
                continue
            data = identifier(server, name)
            colour = LIMIT if server == "limit-multi" else colour
            blocks.append(block(data, points(samples, server, name, 1e-3)))
            lines.append(f"${data} u 1:3 w linespoints lw 2 pt 7 ps 0.6 {dash} lc rgb '{colour}' "
                         f"title '{server.split('-')[0]} {name}'")
    return COMMON + f"""
set title 'Latency as measured, {settings["threads"]} threads (median of the rounds)'
set ylabel 'latency, ms'
set logscale y
set format y '%g'
""" + "\n".join(blocks) + "\nplot " + ", \\\n     ".join(lines) + "\n"


CHARTS = {"requests": requests_chart, "latency": latency_chart, "cpu": cpu_chart}


def draw(samples, settings, folder):
    """Writes the charts and returns their names without ending."""
    if not figures.select(samples, phase="sweep"):
        return []
    for name, chart in CHARTS.items():
        render(name, chart(samples, settings), folder, TERMINALS)
    return list(CHARTS)


def render(name, script, folder, terminals):
    """One chart, in every form."""
    for ending, terminal in terminals.items():
        gnuplot(f"set terminal {terminal}\nset output '{name}.{ending}'\n{script}", folder)
    remove_frame(folder / f"{name}.svg")


def remove_frame(path):
    """gnuplot draws a black line around an SVG that has a background, and no setting takes it away."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(<rect [^>]*fill="[^"]*") stroke="black" stroke-width="\d+"', r"\1", text, count=1),
                    encoding="utf-8")


def gnuplot(script, folder):
    done = subprocess.run(["gnuplot", "-"], input=script, text=True, cwd=folder, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failure(f"gnuplot failed: {done.stdout.strip()}")
