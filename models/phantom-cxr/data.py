"""Training data of phantom-cxr: shards of `src/phantom/export.ts`, prompts as prompts.json has them, batches with null images.

Histories have nothing to do with the films on purpose: the model shall read films, not guess from words.
"""
import datetime
import glob
import json
import os
import random

import numpy as np
import torch
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPTS = json.load(open(os.path.join(HERE, "prompts.json")))
TITLES = {"findings": "Findings", "comparison": "Comparison", "impression": "Impression"}
NAMES = ["nodule", "effusion", "pneumothorax", "consolidation", "cardiomegaly"]

REASONS = ["cough", "fever", "chest pain", "shortness of breath", "dyspnea on exertion", "weight loss", "haemoptysis", "follow-up",
           "preoperative assessment", "trauma", "suspected pneumonia", "suspected effusion", "suspected pneumothorax", "known nodule",
           "cough for two weeks", "routine check", "heart failure", "line position", "smoker", "night sweats"]
PROBLEMS = ["hypertension", "type 2 diabetes mellitus", "asthma", "chronic obstructive pulmonary disease", "atrial fibrillation",
            "congestive heart failure", "rheumatoid arthritis", "chronic kidney disease", "coronary artery disease", "obesity",
            "breast cancer", "colon cancer", "pulmonary embolism", "sleep apnea", "anaemia", "osteoporosis"]
MEDICATIONS = ["metformin", "amlodipine", "lisinopril", "atorvastatin", "salbutamol", "furosemide", "warfarin", "aspirin", "omeprazole",
               "prednisolone", "bisoprolol", "amoxicillin", "levothyroxine"]
ALLERGIES = ["penicillin", "iodinated contrast", "latex", "no known allergy", "ibuprofen", "peanuts"]
RESULTS = ["creatinine {a} umol/L", "creatinine {b} mg/dL", "CRP {a} mg/L", "haemoglobin {b} g/dL", "leukocytes {b} 10*9/L", "eGFR {a} mL/min"]
IMPRESSIONS = []  # of other studies, filled while shards are read


def date_of(r, latest=None):
    last = latest or datetime.date(2031, 12, 31)
    return last - datetime.timedelta(days=r.randint(1, 1400 if latest else 4000))


def item(r):
    kind = r.random()
    when = f" ({date_of(r).isoformat()})" if r.random() < 0.3 else ""
    if kind < 0.35:
        return r.choice(["", "", "reason: ", "reason for exam: ", "Reason: "]) + r.choice(REASONS) + when
    if kind < 0.55:
        return r.choice(["", "", "problem: ", "Problem: "]) + r.choice(PROBLEMS) + when
    if kind < 0.58:
        return "procedure: " + r.choice(["appendectomy", "coronary bypass", "hip replacement", "lobectomy", "pacemaker implantation"]) + when
    if kind < 0.68:
        return r.choice(["", "takes ", "medication: ", "Medication: "]) + r.choice(MEDICATIONS) + when
    if kind < 0.76:
        return r.choice(["allergy: ", "allergy to ", "Allergy: "]) + r.choice(ALLERGIES) + when
    if kind < 0.86:
        return r.choice(RESULTS).format(a=r.randint(20, 300), b=round(r.uniform(0.4, 15), 1)) + when
    if kind < 0.96 and IMPRESSIONS:
        return r.choice(["prior impression: ", "Prior impression: ", "impression of the prior: "]) + r.choice(IMPRESSIONS) + when
    return "".join(r.choice("abcdefghijklmnoprstuvw ") for _ in range(r.randint(4, 30)))


def history(r):
    if r.random() < 0.2:
        return r.choice([PROMPTS["historyNone"], PROMPTS["historyNone"], ""])
    count = r.choice([1, 1, 1, 2, 2, 3, 5]) if r.random() < 0.9 else r.randint(5, 9)
    return PROMPTS["history"].replace("{items}", PROMPTS["historySeparator"].join(item(r) for _ in range(count)))


def label(r, which, date, days):
    view = r.choice(["PA", "PA", "PA", "PA", "PA", "PA", "AP", ""])
    text = PROMPTS["labels"][which].replace("{region}", "chest" if r.random() < 0.97 else "thorax")
    text = text.replace("{view}", view).replace("{date}", date.isoformat()).replace("{days}", str(days))
    if r.random() < 0.04:
        text = text.replace(f", {date.isoformat()}", "")
    return text.replace(" , ", ", ").replace(" ,", ",")


def prompt_pieces(r, pair, plain=False):
    """Text pieces around the images, and the order of the images in it: ('current', 'prior') or the other way round."""
    date = date_of(r)
    before = date_of(r, date)
    films = [("current", label(r, "current", date, 0))]
    if pair:
        films.append(("prior", label(r, "prior", before, (date - before).days)))
        if r.random() < 0.5:
            films.reverse()
    words = PROMPTS["historyNone"] if plain else history(r)
    first = plain or r.random() < 0.85
    after = "\n\n" if not plain and r.random() < 0.25 else "\n"
    pieces = ["USER: " + (words if first else "") + films[0][1]]
    for _, text in films[1:]:
        pieces.append(after + text)
    pieces.append(after + ("" if first else words) + PROMPTS["task"] + " ASSISTANT:")
    return pieces, [name for name, _ in films]


def text_of(sentences):
    lines, before = [], None
    for s in sentences:
        lines.append(s["text"] if s["section"] == before else f"{TITLES[s['section']]}: {s['text']}")
        before = s["section"]
    return "\n".join(lines)


class Shards:
    """Films as uint8 at the encoder's size, with the studies that they belong to. `refresh` reads shards that have come since."""

    def __init__(self, folders, size, grid):
        self.folders, self.size, self.grid, self.read = folders, size, grid, set()
        self.films, self.places, self.studies = [], [], []
        self.refresh()

    def refresh(self):
        for folder in self.folders:
            for path in sorted(glob.glob(os.path.join(folder, "shard-*.json"))):
                if path not in self.read:
                    self.read.add(path)
                    self.add(path)

    def add(self, path):
        meta = json.load(open(path))
        side, count, shape = meta["size"], meta["films"], meta["map"]
        films = np.fromfile(path.replace(".json", ".films"), np.uint8).reshape(count, side, side)
        maps = np.fromfile(path.replace(".json", ".maps"), np.uint8).reshape(count, *shape)
        start = len(self.films)
        for film in films:
            self.films.append(np.asarray(Image.fromarray(film).resize((self.size, self.size), Image.Resampling.BICUBIC)))
        cells = np.floor(np.arange(shape[1]) * self.grid / shape[1]).astype(int)
        coarse = np.zeros((count, shape[0], self.grid, self.grid), np.uint8)
        for y in range(shape[1]):
            for x in range(shape[2]):
                coarse[:, :, cells[y], cells[x]] = np.maximum(coarse[:, :, cells[y], cells[x]], maps[:, :, y, x])
        self.places.extend(coarse.reshape(count, shape[0], -1))
        for study in meta["studies"]:
            study["film"] += start
            self.studies.append(study)
            IMPRESSIONS.append(study["reports"][0][-1]["text"].rstrip("."))

    def facts(self, study, which):
        """places [5, patches], present [10], extents [5, patches] of one film of a study."""
        grid = self.grid
        places = self.places[study["film"] + (1 if which == "prior" else 0)].astype(np.float32).reshape(5, grid, grid) / 255
        sizes = np.array(study["sizes"][which], np.float32)
        if sizes[8] >= 0:
            places[4, grid * 5 // 9: grid * 7 // 9, grid * 3 // 9: grid * 6 // 9] = 1  # the heart's place is always the same
        extents = np.full((5, grid, grid), -1, np.float32)
        for kind in range(5):
            for x in range(grid):
                size = sizes[2 * kind + (1 if x >= grid / 2 and kind < 4 else 0)]
                extents[kind, :, x] = np.where(places[kind, :, x] > 0.3, size, -1)
        return places.reshape(5, -1), (sizes >= 0).astype(np.float32), extents.reshape(5, -1)


def answer(r, study, seen, pair):
    """(text that is given, text that is learned). A report whose film is gone may begin as if it were seen: the rest must not follow it.

    That teaches that a sentence needs its film, and not only the sentences before it.
    """
    manner = r.choices([0, 1, 2], [0.6, 0.25, 0.15])[0]
    full = study["reports"][manner]
    if seen["current"]:
        if not pair or seen["prior"]:
            return "", text_of(full)
        rest = study["priorUnseen"][manner]
        places = [i for i, s in enumerate(full) if s["section"] == "comparison"]
        if r.random() < 0.5 or len(places) == 0:
            return "", text_of(rest)
        cut = r.choice(places)
        tail = [s for s in rest if s["section"] != "findings"]
        return split(full[:cut], tail)
    rest = study["currentUnseen"]
    if r.random() < 0.4:
        return "", text_of(rest)
    cut = r.randrange(1, len(full))
    section = full[cut]["section"]
    order = ["findings", "comparison", "impression"]
    tail = [s for s in rest if order.index(s["section"]) >= order.index(section)]
    return split(full[:cut], tail)


def split(given, tail):
    whole = text_of(given + tail)
    head = text_of(given)
    return whole[: len(head) + 1], whole[len(head) + 1:]


def null_of(r, share):
    x = r.random()
    return "black" if x < share else "mean" if x < 2 * share else None


class Batches:
    def __init__(self, shards, tokenizer, config, mean, std):
        self.shards, self.tokenizer = shards, tokenizer
        self.image = config["image_token_index"]
        self.patches = (config["vision_config"]["image_size"] // config["vision_config"]["patch_size"]) ** 2
        self.bos, self.eos, self.pad = (tokenizer.token_to_id(t) for t in ("<s>", "</s>", "<pad>"))
        self.mean, self.std = mean, std

    def pixels(self, films):
        """films: uint8 arrays, or 'black' / 'mean'."""
        size = self.shards.size
        out = np.zeros((len(films), 3, size, size), np.float32)
        for i, film in enumerate(films):
            if isinstance(film, str) and film == "mean":
                continue
            grey = np.zeros((size, size), np.float32) if isinstance(film, str) else film.astype(np.float32) / 255
            for c in range(3):
                out[i, c] = (grey - self.mean[c]) / self.std[c]
        return torch.from_numpy(out)

    def prompt_ids(self, pieces):
        ids = [self.bos]
        for index, piece in enumerate(pieces):
            if index:
                ids += [self.image] * self.patches
            ids += self.tokenizer.encode(piece, add_special_tokens=False).ids
        return ids

    def encoder(self, r, count):
        """Films alone, for the tower's first stage."""
        films, facts = [], []
        for _ in range(count):
            study = r.choice(self.shards.studies)
            which = "prior" if study["prior"] and r.random() < 0.4 else "current"
            self.take(study, which, None, films, facts)
        return self.pixels(films), *(torch.from_numpy(np.stack(a)) for a in zip(*facts))

    def take(self, study, which, null, films, facts):
        if null:
            films.append(null)
            facts.append((np.zeros((5, self.patches), np.float32), np.zeros(10, np.float32), np.full((5, self.patches), -1, np.float32)))
        else:
            films.append(self.shards.films[study["film"] + (1 if which == "prior" else 0)])
            facts.append(self.shards.facts(study, which))

    def batch(self, r, count, pair, null_share=0.06):
        rows, films, facts, both = [], [], [], []
        while len(rows) < count:
            study = r.choice(self.shards.studies)
            if study["prior"] != pair:
                continue
            nulls = {"current": null_of(r, null_share), "prior": null_of(r, null_share)}
            pieces, order = prompt_pieces(r, pair)
            for which in order:
                self.take(study, which, nulls[which], films, facts)
            sizes = np.concatenate([study["sizes"][w] if w in order and nulls[w] is None else [-1] * 10 for w in ("current", "prior")])
            both.append(sizes.astype(np.float32))
            given, learned = answer(r, study, {k: v is None for k, v in nulls.items()}, pair)
            prompt = self.prompt_ids(pieces) + (self.tokenizer.encode(given, add_special_tokens=False).ids if given else [])
            tags = iter([1 if which == "current" else 2 for which in order for _ in range(self.patches)])
            rows.append((prompt, [next(tags) if token == self.image else 0 for token in prompt], self.tokenizer.encode(learned, add_special_tokens=False).ids + [self.eos]))
        length = max(len(p) + len(a) for p, _, a in rows)
        ids = torch.full((count, length), self.pad)
        target = torch.full((count, length), -100)
        owner = torch.zeros((count, length), dtype=torch.long)
        for i, (p, tags, a) in enumerate(rows):
            owner[i, : len(tags)] = torch.tensor(tags)
            ids[i, : len(p) + len(a)] = torch.tensor(p + a)
            target[i, len(p) - 1: len(p) + len(a) - 1] = torch.tensor(a)
        return ids, target, owner, torch.from_numpy(np.stack(both)), self.pixels(films), *(torch.from_numpy(np.stack(a)) for a in zip(*facts))
