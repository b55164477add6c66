"""The charts of bench/mixed, each for a light and a dark page, as SVG and PNG."""
from lib import charts, mixed_figures
from lib.files_charts import THEMES, terminals
from lib.mixed_figures import TOOL_TITLES
from lib.mixed_plan import NONE, SCENARIOS, TOOLS

WIDTH = 0.36  # of a bar; two and a gap make 1
COLOURS = {"": dict(zip(TOOLS, ("#1f5fa8", "#8c959f"))), "-dark": dict(zip(TOOLS, ("#58a6ff", "#8b949e")))}
SHORT = {NONE: "nothing", "inline": "in the loop", "offload": "offloaded", "elsewhere": "other process", "wait-inline": "4 in the loop",
         "wait-timer": "1,000 pending", "wait-offload": "1,000 offloaded", "plain": "20,000/s fast"}
PEERS = {("go", "inline"): "goroutine", ("go", "wait-timer"): "1,000 goroutines", ("nginx", "inline"): "upstream",
         ("nginx", "wait-timer"): "1,000 upstream"}


def label(scenario):
    return f"{scenario.server}\\n{PEERS.get((scenario.server, scenario.name), SHORT[scenario.name])}"


def chart(samples, theme, title, scenarios):
    """p99 of the fast requests, a bar a tool. None without any."""
    blocks, lines = [], []
    for place, tool in enumerate(TOOLS):
        rows = []
        for number, scenario in enumerate(scenarios):
            value = mixed_figures.middle(samples, "p99", scenario, tool)
            if value:
                rows.append((number + (place - 0.5) * WIDTH, value.median / 1e3, value.low / 1e3, value.high / 1e3))
        if not rows:
            continue
        data, colour = charts.identifier("fast", tool), COLOURS[theme.suffix][tool]
        blocks.append(charts.block(data, rows))
        lines += [f"${data} u 1:2 w boxes lc rgb '{colour}' title '{TOOL_TITLES[tool]}'",
                  f"${data} u 1:3:(0):($4-$3) w vectors nohead lw 1.5 lc rgb '{theme.ink}' notitle",
                  f"${data} u 1:4:(sprintf('%.3g',$2)) w labels center offset 0,0.6 font ',13' "
                  f"textcolor rgb '{theme.ink}' notitle"]
    if not lines:
        return None
    names = ", ".join(f'"{label(scenario)}" {number}' for number, scenario in enumerate(scenarios))
    return f"""
set encoding utf8
set border 1 lc rgb '{theme.quiet}'
set tics nomirror scale 0 textcolor rgb '{theme.ink}'
set grid noxtics ytics lc rgb '{theme.quiet}' lt 1 lw 0.6
set key at screen 0.985,0.96 right top horizontal reverse Left samplen 1.2 textcolor rgb '{theme.ink}'
set label 101 "{title}" at screen 0.02,0.94 left font ',21' textcolor rgb '{theme.ink}'
set label 102 "less is better; logarithmic; median and range of the rounds" at screen 0.02,0.875 left font ',15' textcolor rgb '{theme.ink}'
set lmargin at screen 0.06
set rmargin at screen 0.98
set tmargin at screen 0.78
set bmargin at screen 0.16
set style fill solid 1.0 noborder
set boxwidth {WIDTH * 0.92:.3f}
set logscale y
set format y '%g'
set xrange [-0.5:{len(scenarios) - 0.5}]
set yrange [0.05:*]
set offsets 0, 0, graph 0.06, 0
set xtics ({names}) font ',14'
""" + "\n".join(blocks) + "\nplot " + ", \\\n     ".join(lines) + "\n"


CHARTS = {"slow": ("p99 of fast requests beside 40 a second that compute 5 ms, ms",
                   [scenario for scenario in SCENARIOS if not scenario.blocking]),
          "blocking": ("p99 of fast requests beside those that wait 50 ms, ms",
                       [scenario for scenario in SCENARIOS if scenario.blocking or scenario.name == NONE])}


def draw(results, folder):
    """Writes the charts and returns the names of those that could be drawn."""
    drawn = []
    for name, (title, scenarios) in CHARTS.items():
        for theme in THEMES:
            script = chart(results["samples"], theme, title, scenarios)
            if script is None:
                continue
            charts.render(name + theme.suffix, script, folder, terminals(theme, 1200, 500))
            drawn.append(name + theme.suffix)
    return drawn
