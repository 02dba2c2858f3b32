"""The page's figure that needs no engine: what Adapt shows first. `python -m maml_numpy.live.still` writes it."""

from pathlib import Path

from .engine import adapt

POINTS = [[-3, 1.2], [-1, 3.9], [0.5, 0.4], [2, -3.8], [4, -0.1]]
FILE = Path(__file__).parent / "page" / "figure.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, MOST = 720, 380, 52, 14, 12, 42, 5.5


def figure() -> str:
    """Five points, and the predictions of the shipped MAML after 0 to 10 inner steps."""
    found = adapt({"points": POINTS, "K": 10})

    def X(x: float) -> float:
        return LEFT + (x + 5) / 10 * (WIDTH - LEFT - RIGHT)

    def Y(y: float) -> float:
        return HEIGHT - BOTTOM - (y + MOST) / (2 * MOST) * (HEIGHT - TOP - BOTTOM)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             'font-size="13" fill="#58626c">']
    for x in range(-5, 6):
        lines += [f'<path d="M{X(x):.1f},{TOP}V{HEIGHT - BOTTOM}" stroke="#d5dade"/>',
                  f'<text x="{X(x):.1f}" y="{HEIGHT - 25}" text-anchor="middle">{f"{x}".replace("-", "−")}</text>']
    for y in range(-4, 5, 2):
        lines += [f'<path d="M{LEFT},{Y(y):.1f}H{WIDTH - RIGHT}" stroke="#d5dade"/>',
                  f'<text x="{LEFT - 6}" y="{Y(y) + 4:.1f}" text-anchor="end">{f"{y}".replace("-", "−")}</text>']
    lines += [f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">x</text>',
              f'<text x="14" y="{HEIGHT / 2 - 15}">y</text>']
    for k, curve in enumerate(found["curves"]):
        style = ('#7F7F7F" stroke-width="2" stroke-dasharray="6 5' if k == 0 else
                 '#0072B2" stroke-width="3.2' if k == 10 else '#56B4E9" stroke-width="1.3')
        path = "L".join(f"{X(x):.1f},{Y(y):.1f}" for x, y in zip(found["grid"], curve))
        lines.append(f'<path d="M{path}" fill="none" stroke="{style}"/>')
    lines += [f'<circle cx="{X(x):.1f}" cy="{Y(y):.1f}" r="7.5" fill="#1d2329"/>' for x, y in POINTS]
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(figure(), encoding="utf-8")
