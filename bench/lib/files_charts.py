"""The charts of bench/files, each for a light and a dark page, as SVG and PNG."""
from dataclasses import dataclass

from lib import charts, figures
from lib.files_figures import middle, relative
from lib.files_plan import BASE, SERVERS, WORKLOADS

BAR = 0.19  # width; the bars of a group of four and a gap make 1
CUT = 2.0   # a ratio above this would leave no room for the others: its bar ends here, its number does not


@dataclass(frozen=True)
class Theme:
    suffix: str
    paper: str
    ink: str
    quiet: str
    bars: dict


# coreactor has the colour, the others stand back; the same in both charts.
THEMES = (Theme("", "#ffffff", "#24292f", "#d0d7de", dict(zip(SERVERS, ("#1f5fa8", "#8c959f", "#b4bcc5", "#d3d9df")))),
          Theme("-dark", "#0d1117", "#e6edf3", "#30363d", dict(zip(SERVERS, ("#58a6ff", "#8b949e", "#656d76", "#444c56")))))


def terminals(theme, width, height):
    return {"svg": f"svg size {width},{height} font 'sans-serif,17' background '{theme.paper}' dynamic",
            "png": f"pngcairo size {width * 3 // 2},{height * 3 // 2} font 'sans,19' background '{theme.paper}'"}


def common(theme, title, subtitle):
    """Two lines above the picture, to the left: what it shows, and how it is to be read."""
    return f"""
set encoding utf8
set border 1 lc rgb '{theme.quiet}'
set tics nomirror scale 0 textcolor rgb '{theme.ink}'
unset ytics
set grid noxtics
set key textcolor rgb '{theme.ink}'
set label 101 "{title}" at screen 0.02,0.94 left font ',21' textcolor rgb '{theme.ink}'
set label 102 "{subtitle}" at screen 0.02,0.865 left font ',15' textcolor rgb '{theme.ink}'
set style fill solid 1.0 noborder
"""


def places(found):
    """The centre of each bar of a group at 0."""
    return {server: (number - (len(found) - 1) / 2) * BAR for number, server in enumerate(found)}


def bars_of(values, theme, digits, most):
    """(server, x, spread) drawn as bars with their range, the median written above. Nothing is drawn
    higher than the most."""
    blocks, lines, labels = [], [], []
    for server in SERVERS:
        rows = [(x, *(min(number, most) for number in (value.median, value.low, value.high)), value.median)
                for name, x, value in values if name == server]
        if not rows:
            continue
        data = charts.identifier("bars", server)
        blocks.append(charts.block(data, rows))
        lines += [f"${data} u 1:2 w boxes lc rgb '{theme.bars[server]}' title '{server}'",
                  f"${data} u 1:3:(0):($4-$3) w vectors nohead lw 1.5 lc rgb '{theme.ink}' notitle"]
        weight = "{/:Bold %s}" if server == "coreactor" else "%s"
        labels += [f"set label \"{weight % f'{median:,.{digits}f}'}\" at {x:.4f},{high:.6g} center offset 0,0.65 front "
                   f"font ',15' textcolor rgb '{theme.ink}'" for x, _, _, high, median in rows]
    return "\n".join(blocks + labels), lines


def cpu_chart(samples, theme, note):
    """CPU time per request of every server and workload, nginx being 1. None without nginx."""
    values, names = [], []
    for number, work in enumerate(WORKLOADS):
        found = {server: relative(samples, "cpu_us", server, work) for server in SERVERS}
        found = {server: value for server, value in found.items() if value}
        names.append(f"'{work.title}' {number}")
        values += [(server, number + x, found[server]) for server, x in places(list(found)).items()]
    if not values:
        return None
    top = max(value.high for _, _, value in values)
    if top > CUT:
        note += f"; bars end at {CUT:.0f}"
    top = min(top, CUT)
    blocks, lines = bars_of(values, theme, 2, top)
    lines.insert(0, f"1 w lines lw 1.5 lc rgb '{theme.quiet}' notitle")
    return common(theme, f"CPU time per request, {BASE} = 1", f"less is better; median and range of the rounds; {note}") + f"""
set key at screen 0.985,0.96 right top horizontal reverse Left samplen 1.2 width -1
set lmargin at screen 0.02
set rmargin at screen 0.98
set tmargin at screen 0.78
set bmargin at screen 0.11
set boxwidth {BAR * 0.92:.3f}
set xrange [-0.5:{len(WORKLOADS) - 0.5}]
set yrange [0:{top * 1.12:.4g}]
set xtics ({", ".join(names)})
{blocks}
plot """ + ", \\\n     ".join(lines) + "\n"


def site_chart(samples, theme, note):
    """Requests per second of the mixed site."""
    work = WORKLOADS[-1]
    found = {server: middle(samples, "answers_per_s", server, work) for server in SERVERS}
    found = {server: value for server, value in found.items() if value}
    if not found:
        return None
    values = [(server, number, value) for number, (server, value) in enumerate(found.items())]
    blocks, lines = bars_of(values, theme, 0, max(value.high for value in found.values()))
    names = ", ".join(f"'{server}' {number}" for number, server in enumerate(found))
    return common(theme, f"Requests per second, {work.title}", f"more is better; median and range of the rounds; {note}") + f"""
unset key
set lmargin at screen 0.02
set rmargin at screen 0.98
set tmargin at screen 0.78
set bmargin at screen 0.11
set boxwidth 0.5
set xrange [-0.6:{len(found) - 0.4}]
set yrange [0:{max(value.high for value in found.values()) * 1.12:.6g}]
set xtics ({names})
{blocks}
plot """ + ", \\\n     ".join(lines) + "\n"


CHARTS = {"cpu": (cpu_chart, 1200, 460), "site": (site_chart, 900, 460)}


def draw(results, folder):
    """Writes the charts and returns the names of those that could be drawn."""
    environment, drawn = results["environment"], []
    note = f"{environment['cpus_allowed']} CPUs shared with the load generator"
    for name, (chart, width, height) in CHARTS.items():
        for theme in THEMES:
            script = chart(figures.select(results["samples"]), theme, note)
            if script is None:
                continue
            charts.render(name + theme.suffix, script, folder, terminals(theme, width, height))
            drawn.append(name + theme.suffix)
    return drawn
