"""The embedded model's places: small painted landscapes with random variation.

Each function paints one image of its place with Pillow. The canvas is twice the size of the scenes, so the edges are
smooth after it is shrunk.
"""

from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw

IMAGE_SIZE = 64
CANVAS = 2 * IMAGE_SIZE

Colour = tuple[int, int, int]


def vary(rng: Random, colour: Colour, amount: int = 12) -> Colour:
    """Returns the colour with each channel moved by at most `amount` of 255."""
    red, green, blue = (max(0, min(255, c + rng.randint(-amount, amount))) for c in colour)
    return red, green, blue


def gradient(top: Colour, bottom: Colour, height: int = CANVAS) -> Image.Image:
    """Returns an image as wide as the canvas that blends from one colour at the top to another at the bottom."""
    ramp = np.linspace(0, 1, height)[:, None] * (np.array(bottom) - top) + np.array(top)
    return Image.fromarray(np.repeat(ramp[:, None], CANVAS, 1).astype(np.uint8))


def sky_over_ground(rng: Random, sky: Colour, ground: Colour, horizon: int) -> Image.Image:
    """Returns a sky that pales towards the horizon, above ground of one colour."""
    sky = vary(rng, sky)
    pale: Colour = tuple((c + 2 * 255) // 3 for c in sky)  # type: ignore[assignment]
    picture = gradient(sky, pale)
    ground = vary(rng, ground)
    shade: Colour = tuple(c * 4 // 5 for c in ground)  # type: ignore[assignment]
    picture.paste(gradient(ground, shade, CANVAS - horizon), (0, horizon))
    return picture


def beach(rng: Random) -> Image.Image:
    horizon, shore = rng.randint(34, 44), rng.randint(68, 78)
    picture = sky_over_ground(rng, (120, 200, 250), (244, 220, 160), shore)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, horizon, CANVAS, shore), fill=vary(rng, (30, 130, 190)))
    foam = [(x, shore + rng.randint(-3, 3)) for x in range(-16, CANVAS + 17, 16)]
    draw.line(foam, fill=(250, 250, 250), width=5, joint="curve")
    return picture


def forest(rng: Random) -> Image.Image:
    picture = sky_over_ground(rng, (150, 200, 170), (70, 95, 45), rng.randint(84, 94))
    draw = ImageDraw.Draw(picture)
    for depth in range(2):
        for x in range(rng.randint(-14, 0), CANVAS + 10, 26):
            foot, top = 88 + 8 * depth + rng.randint(-3, 3), rng.randint(2, 30)
            draw.rectangle((x - 3, foot - 20, x + 3, foot), fill=(85, 60, 40))
            green = vary(rng, (30, 85 + 25 * depth, 45))
            for tier in range(3):
                y = top + (foot - 24 - top) * tier // 3
                reach, drop = 8 + 4 * tier, (foot - 12 - top) // 3 + 8
                draw.polygon([(x, y), (x - reach, y + drop), (x + reach, y + drop)], fill=green)
    return picture


def road(rng: Random) -> Image.Image:
    horizon, vanish = rng.randint(40, 52), CANVAS // 2 + rng.randint(-14, 14)
    picture = sky_over_ground(rng, (150, 190, 230), (130, 165, 85), horizon)
    draw = ImageDraw.Draw(picture)
    edges = [(vanish - 5, horizon), (vanish + 5, horizon), (CANVAS + 12, CANVAS), (-12, CANVAS)]
    draw.polygon(edges, fill=vary(rng, (92, 92, 98), 8))
    centre = CANVAS // 2
    for start in (0.12, 0.32, 0.6):
        stop = start + 0.14
        corners = []
        for depth, side in ((start, -1), (start, 1), (stop, 1), (stop, -1)):
            x = vanish + (centre - vanish) * depth + side * (1 + 4 * depth)
            corners.append((x, horizon + (CANVAS - horizon) * depth))
        draw.polygon(corners, fill=(245, 235, 200))
    return picture


def desert(rng: Random) -> Image.Image:
    picture = sky_over_ground(rng, (240, 190, 110), (226, 160, 80), rng.randint(66, 76))
    draw = ImageDraw.Draw(picture)
    x, y = rng.randint(20, 108), rng.randint(14, 26)
    draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=(255, 245, 200))
    for layer, colour in enumerate(((214, 140, 70), (232, 172, 96), (205, 132, 62))):
        base, swing, phase = 62 + 18 * layer, rng.randint(6, 11), rng.uniform(0, 6.3)
        ridge = [(i, base + swing * np.sin(phase + i / 24)) for i in range(0, CANVAS + 8, 8)]
        draw.polygon([(0, CANVAS), *ridge, (CANVAS, CANVAS)], fill=vary(rng, colour, 8))
    return picture


def room(rng: Random) -> Image.Image:
    floor = rng.randint(84, 94)
    picture = Image.new("RGB", (CANVAS, CANVAS), vary(rng, (225, 205, 190), 14))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, floor, CANVAS, CANVAS), fill=vary(rng, (150, 100, 65)))
    for y in range(floor + 10, CANVAS, 11):
        draw.line((0, y, CANVAS, y), fill=(120, 78, 50), width=2)
    draw.rectangle((0, floor - 5, CANVAS, floor), fill=(250, 248, 240))
    x, y = rng.choice((rng.randint(6, 22), rng.randint(72, 86))), rng.randint(10, 16)
    draw.rectangle((x, y, x + 36, y + 42), fill=(255, 255, 255))
    draw.rectangle((x + 4, y + 4, x + 32, y + 38), fill=vary(rng, (150, 205, 240)))
    draw.line((x + 18, y, x + 18, y + 42), fill=(255, 255, 255), width=3)
    draw.line((x, y + 21, x + 36, y + 21), fill=(255, 255, 255), width=3)
    return picture


def lawn(rng: Random) -> Image.Image:
    horizon = rng.randint(56, 66)
    picture = sky_over_ground(rng, (110, 190, 245), (110, 200, 70), horizon)
    draw = ImageDraw.Draw(picture)
    rail = horizon - 12
    draw.rectangle((0, rail, CANVAS, rail + 4), fill=(245, 245, 245))
    for x in range(rng.randint(-12, 0), CANVAS + 8, 13):
        draw.polygon(
            [(x, horizon + 3), (x, rail - 6), (x + 4, rail - 11), (x + 8, rail - 6), (x + 8, horizon + 3)],
            fill=(245, 245, 245),
        )
    for _ in range(26):
        x, y = rng.randint(0, CANVAS), rng.randint(horizon + 8, CANVAS)
        draw.line((x, y, x + rng.randint(-2, 2), y - 5), fill=vary(rng, (70, 155, 50)), width=2)
    return picture


def mountain(rng: Random) -> Image.Image:
    ground = rng.randint(88, 98)
    picture = sky_over_ground(rng, (100, 160, 230), (110, 140, 110), ground)
    draw = ImageDraw.Draw(picture)
    for x in (rng.randint(8, 28), rng.randint(96, 120), rng.randint(50, 78)):
        top, reach = rng.randint(8, 30), rng.randint(38, 50)
        draw.polygon([(x - reach, ground), (x, top), (x + reach, ground)], fill=vary(rng, (105, 110, 135)))
        snow = (ground - top) // 3
        width = reach * snow // (ground - top)
        jag = [(x - width, top + snow), (x - width // 3, top + snow - 6), (x, top + snow + 3)]
        draw.polygon([*jag, (x + width // 2, top + snow - 5), (x + width, top + snow), (x, top)], fill=(250, 252, 255))
    return picture


def sunrise(rng: Random) -> Image.Image:
    horizon = rng.randint(66, 78)
    picture = gradient(vary(rng, (95, 60, 140)), vary(rng, (255, 150, 80)))
    draw = ImageDraw.Draw(picture)
    x, radius = rng.randint(36, 92), rng.randint(20, 27)
    draw.ellipse((x - radius, horizon - radius, x + radius, horizon + radius), fill=(255, 225, 120))
    water = gradient(vary(rng, (170, 80, 110)), vary(rng, (60, 40, 90)), CANVAS - horizon)
    picture.paste(water, (0, horizon))
    for y in range(horizon + 4, CANVAS, 9):
        half = max(4, radius - (y - horizon) // 3) + rng.randint(-4, 4)
        draw.line((x - half, y, x + half, y), fill=(255, 190, 120), width=3)
    return picture


def street(rng: Random) -> Image.Image:
    pavement = rng.randint(86, 96)
    picture = sky_over_ground(rng, (170, 205, 235), (120, 120, 125), pavement)
    draw = ImageDraw.Draw(picture)
    x = rng.randint(-16, 0)
    for wall in rng.sample([(190, 90, 70), (225, 190, 120), (120, 150, 180), (160, 120, 150), (215, 215, 205)], 4):
        width, top = rng.randint(34, 44), rng.randint(8, 34)
        draw.rectangle((x, top, x + width - 2, pavement), fill=vary(rng, wall))
        for column in (x + 6, x + width - 16):
            for y in range(top + 8, pavement - 14, 20):
                draw.rectangle((column, y, column + 8, y + 11), fill=(250, 240, 170))
        x += width
    draw.rectangle((0, pavement, CANVAS, pavement + 5), fill=(215, 215, 215))
    return picture


def park(rng: Random) -> Image.Image:
    horizon = rng.randint(62, 72)
    picture = sky_over_ground(rng, (180, 215, 250), (140, 190, 90), horizon)
    draw = ImageDraw.Draw(picture)
    bend = rng.randint(-12, 12)
    centre = CANVAS // 2
    path = [(centre - 6 + bend, horizon), (centre + 6 + bend, horizon), (CANVAS - 10, CANVAS), (10, CANVAS)]
    draw.polygon(path, fill=vary(rng, (225, 200, 150)))
    for x in (rng.randint(6, 22), rng.randint(40, 52), rng.randint(82, 92), rng.randint(108, 122)):
        foot, radius = horizon + rng.randint(2, 8), rng.randint(13, 18)
        draw.rectangle((x - 2, foot - 24, x + 2, foot), fill=(110, 75, 45))
        crown = (x - radius, foot - 24 - 2 * radius + 8, x + radius, foot - 16)
        draw.ellipse(crown, fill=vary(rng, (205, 120, 40), 25))
    return picture


def library(rng: Random) -> Image.Image:
    floor = rng.randint(94, 102)
    picture = Image.new("RGB", (CANVAS, CANVAS), vary(rng, (95, 60, 40)))
    draw = ImageDraw.Draw(picture)
    for shelf in range(3):
        top = 4 + shelf * (floor - 4) // 3
        bottom = 4 + (shelf + 1) * (floor - 4) // 3 - 4
        x = rng.randint(2, 6)
        while x < CANVAS - 6:
            width = rng.randint(5, 9)
            spine = rng.choice([(190, 50, 45), (45, 95, 150), (60, 125, 75), (225, 185, 90), (130, 80, 140)])
            draw.rectangle((x, top + rng.randint(2, 10), x + width - 1, bottom), fill=vary(rng, spine))
            x += width + 1
        draw.rectangle((0, bottom, CANVAS, bottom + 3), fill=(60, 35, 20))
    draw.rectangle((0, floor, CANVAS, CANVAS), fill=vary(rng, (120, 30, 45)))
    return picture


def waterfall(rng: Random) -> Image.Image:
    pool = rng.randint(88, 98)
    picture = Image.new("RGB", (CANVAS, CANVAS), vary(rng, (85, 90, 95)))
    draw = ImageDraw.Draw(picture)
    for _ in range(26):
        x, y, size = rng.randint(-8, CANVAS), rng.randint(-8, pool), rng.randint(10, 20)
        draw.polygon([(x, y + size), (x + size // 2, y), (x + size, y + size)], fill=vary(rng, (105, 112, 112), 16))
    left, width = rng.randint(30, 50), rng.randint(34, 46)
    draw.rectangle((left, 0, left + width, pool), fill=(205, 230, 245))
    for x in range(left + 3, left + width, 7):
        draw.line((x, 0, x, pool), fill=vary(rng, (125, 180, 225)), width=2)
    picture.paste(gradient(vary(rng, (70, 160, 190)), vary(rng, (25, 85, 120)), CANVAS - pool), (0, pool))
    draw.ellipse((left - 8, pool - 6, left + width + 8, pool + 8), fill=(235, 245, 250))
    return picture


PLACES: dict[str, Callable[[Random], Image.Image]] = {
    "beach": beach,
    "forest": forest,
    "road": road,
    "desert": desert,
    "room": room,
    "lawn": lawn,
    "mountain": mountain,
    "sunrise": sunrise,
}
MORE_PLACES = PLACES | {"street": street, "park": park, "library": library, "waterfall": waterfall}


def draw_place(paint: Callable[[Random], Image.Image], rng: Random) -> Image.Image:
    """Returns one RGB image of a place, IMAGE_SIZE pixels square."""
    return paint(rng).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
