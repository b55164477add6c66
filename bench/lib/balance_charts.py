"""The charts of bench/balance, each for a light and a dark page, as SVG and PNG."""
from lib import balance_figures, charts
from lib.balance_plan import CONNECTIONS, MODES, REACTORS
from lib.files_charts import THEMES, terminals

LIGHT = dict(zip(MODES, ("#b4bcc5", "#8c959f", "#1f5fa8")))
DARK = dict(zip(MODES, ("#444c56", "#8b949e", "#58a6ff")))
DASHES = {"hash": 1, "least": 1, "handoff": 3}  # of the lines
WIDTH = 0.26  # of a bar; three and a gap make 1


def colours(theme):
    return DARK if theme.suffix else LIGHT


def common(theme, title, subtitle):
    return f"""
set encoding utf8
set border 3 lc rgb '{theme.quiet}'
set tics nomirror scale 0 textcolor rgb '{theme.ink}'
set grid noxtics ytics lc rgb '{theme.quiet}' lt 1 lw 0.6
set key at screen 0.985,0.97 right top horizontal reverse Left samplen 1.5 textcolor rgb '{theme.ink}'
set label 101 "{title}" at screen 0.02,0.94 left font ',21' textcolor rgb '{theme.ink}'
set label 102 "{subtitle}" at screen 0.02,0.875 left font ',15' textcolor rgb '{theme.ink}'
set lmargin at screen 0.06
set rmargin at screen 0.98
set tmargin at screen 0.78
"""


def spread_chart(results, theme):
    """Bars for every mode, the range of the repetitions, and the bar that is wanted."""
    points = [(reactors, connections) for reactors in REACTORS for connections in CONNECTIONS]
    blocks, lines = [], []
    for place, mode in enumerate(MODES):
        rows = []
        for number, (reactors, connections) in enumerate(points):
            value = balance_figures.spread(results, mode, reactors, connections)
            if value:
                rows.append((number + (place - 1) * WIDTH, value.median, value.low, value.high))
        if not rows:
            continue
        data = charts.identifier("spread", mode)
        blocks.append(charts.block(data, rows))
        lines += [f"${data} u 1:2 w boxes lc rgb '{colours(theme)[mode]}' title '{mode}'",
                  f"${data} u 1:3:(0):($4-$3) w vectors nohead lw 1.5 lc rgb '{theme.ink}' notitle",
                  f"${data} u 1:4:(sprintf('%.2f',$2)) w labels center offset 0,0.6 font ',12' "
                  f"textcolor rgb '{theme.ink}' notitle"]
    if not lines:
        return None
    names = ", ".join(f"'{connections:,} over {reactors}' {number}" for number, (reactors, connections) in enumerate(points))
    lines.append(f"1 w lines lw 1.5 lc rgb '{theme.ink}' notitle")
    return common(theme, "Connections of the busiest reactor / mean",
                  "1 is even; median and range of the repetitions; connections over reactors") + f"""
set style fill solid 1.0 noborder
set boxwidth {WIDTH * 0.92:.3f}
set xrange [-0.5:{len(points) - 0.5}]
set yrange [0:*]
set offsets 0, 0, graph 0.06, 0
set bmargin at screen 0.1
set xtics ({names})
""" + "\n".join(blocks) + "\nplot " + ", \\\n     ".join(lines) + "\n"


def churn_chart(results, theme):
    """The spread of every mode after each step, with the most reactors."""
    reactors = max(REACTORS)
    blocks, lines = [], []
    for mode in sorted(MODES, key=DASHES.get):  # a dashed line above the one that it may lie on
        rows = [(step, value.low, value.median, value.high)
                for step, value in enumerate(balance_figures.mean_churn(results, mode, reactors))]
        if not rows:
            continue
        data, colour = charts.identifier("churn", mode), colours(theme)[mode]
        blocks.append(charts.block(data, rows))
        lines += [f"${data} u 1:2:4 w filledcurves fs transparent solid 0.2 noborder lc rgb '{colour}' notitle",
                  f"${data} u 1:3 w lines lw 2.5 dt {DASHES[mode]} lc rgb '{colour}' title '{mode}'"]
    if not lines:
        return None
    lines.append(f"{balance_figures.SPREAD_BAR} w lines lw 1.5 dt 2 lc rgb '{theme.ink}' title 'wanted'")
    return common(theme, f"Busiest / mean under churn, {reactors} reactors",
                  "median and range of the repetitions; 1,000 connections, closed at random, and short ones") + f"""
set xlabel 'step (the minutes of an hour, compressed)' textcolor rgb '{theme.ink}'
set yrange [1:*]
set bmargin at screen 0.17
""" + "\n".join(blocks) + "\nplot " + ", \\\n     ".join(lines) + "\n"


CHARTS = {"spread": (spread_chart, 1200, 500), "churn": (churn_chart, 1200, 500)}


def draw(results, folder):
    """Writes the charts and returns the names of those that could be drawn."""
    drawn = []
    for name, (chart, width, height) in CHARTS.items():
        for theme in THEMES:
            script = chart(results, theme)
            if script is None:
                continue
            charts.render(name + theme.suffix, script, folder, terminals(theme, width, height))
            drawn.append(name + theme.suffix)
    return drawn
