"""Trains phantom-cxr on synthetic films and writes a checkpoint in the HF form of llava. Python, torch (CPU), tokenizers, pillow.

    node src/main.ts phantom export --count 20000 --seed train --size 256 --out DATA/train
    python3 models/phantom-cxr/train.py --data DATA/train --out models/phantom-cxr/checkpoint --state STATE

First the tower alone learns to see, then the decoder learns to write on the resting tower, then both together. The run is limited by time,
not by steps: the rate follows a cosine over the minutes given. `--resume` goes on from `--state`. Figures: node src/main.ts evaluate.
"""
import argparse
import json
import math
import os
import random
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from data import Batches, Shards, answer, prompt_pieces
from network import BOUND, GATHERED, Llava, Teacher

SPECIAL = ["<s>", "</s>", "<pad>", "<image>"]
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def config_of(vocabulary):
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "torch_dtype": "float16",
        "image_token_index": SPECIAL.index("<image>"),
        "pad_token_id": SPECIAL.index("<pad>"),
        "ignore_index": -100,
        "image_seq_length": 81,
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": True,
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": 192, "intermediate_size": 576, "num_hidden_layers": 5,
            "num_attention_heads": 6, "image_size": 144, "patch_size": 16, "num_channels": 3, "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5, "projection_dim": 192,
        },
        "text_config": {
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": 192,
            "intermediate_size": 448, "num_hidden_layers": 4, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32,
            "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 1024,
            "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2,
        },
    }


def make_tokenizer(shards):
    """Byte-level BPE over prompts and reports; digits stand alone, so that every date is spelled the same way."""
    r = random.Random(1)
    corpus = []
    for study in shards.studies[:3000]:
        for _ in range(2):
            corpus += prompt_pieces(r, study["prior"])[0]
        seen = {"current": r.random() < 0.9, "prior": r.random() < 0.9}
        corpus.append(answer(r, study, seen, study["prior"])[1])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=768, min_frequency=20, special_tokens=SPECIAL,
                                                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
    return tokenizer


def export(model, config, tokenizer, folder):
    os.makedirs(folder, exist_ok=True)
    names = {"vision_tower.": "vision_tower.", "multi_modal_projector.": "multi_modal_projector.", "language_model.": "language_model."}
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in model.state_dict().items() if any(k.startswith(n) for n in names)}
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    side = config["vision_config"]["image_size"]
    patch = config["vision_config"]["patch_size"]
    files = {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "do_sample": False, "max_new_tokens": 160},
        "preprocessor_config.json": {
            "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": True, "do_resize": True, "size": {"shortest_edge": side},
            "resample": 3, "do_center_crop": True, "crop_size": {"height": side, "width": side}, "do_rescale": True,
            "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD,
        },
        "processor_config.json": {
            "processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": patch, "num_additional_image_tokens": 1,
            "vision_feature_select_strategy": "default",
        },
        "special_tokens_map.json": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
            "add_bos_token": True, "clean_up_tokenization_spaces": False, "model_max_length": 1024,
            "chat_template": "{% for message in messages %}{{ message['role'].upper() }}: {% for part in message['content'] %}"
                             "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
                             "{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}",
        },
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")


class Clock:
    def __init__(self, minutes, peak, warm=0.04, end=0.02):
        self.start, self.seconds, self.peak, self.warm, self.end = time.time(), minutes * 60, peak, warm, end

    def share(self):
        return (time.time() - self.start) / self.seconds

    def rate(self):
        t = min(1.0, self.share())
        return self.peak * (max(t / self.warm, 0.02) if t < self.warm else self.end + (1 - self.end) * (1 + math.cos(math.pi * t)) / 2)


def optimiser(modules):
    plain, decayed = [], []
    for m in modules:
        for p in m.parameters():
            (decayed if p.ndim > 1 else plain).append(p)
    return torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.98))


def step(optimizer, loss, modules, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for m in modules for p in m.parameters()], 1.0)
    optimizer.step()


def see(args, model, teacher, batches, r):
    """First stage: the tower alone."""
    clock, modules = Clock(args.see, args.see_rate), [model.vision_tower, teacher]
    optimizer, number, began = optimiser(modules), 0, time.time()
    while clock.share() < 1:
        pixels, places, present, extents = batches.encoder(r, 48)
        hidden = model.hidden(pixels)
        loss = teacher.loss(hidden, places, present, extents)
        step(optimizer, loss, modules, clock.rate())
        if number % 50 == 0:
            print(f"see {number} loss {loss.item():.3f} all right {teacher.right(hidden, present):.2f} films/s {48 * (number + 1) / (time.time() - began):.1f}", flush=True)
            batches.shards.refresh()
        number += 1


def write(args, model, teacher, batches, r, save):
    """Second stage: tower and decoder."""
    clock, modules = Clock(args.write, args.write_rate), [model, teacher]
    optimizer, number, began, saved = optimiser(modules), 0, time.time(), time.time()
    while clock.share() < 1:
        pair = number % 3 > 0
        ids, target, owner, sizes, pixels, places, present, extents = batches.batch(r, 16 if pair else 24, pair)
        # The tower can already see: at first only the decoder learns, which is nearly twice as fast.
        frozen = clock.share() < args.frozen
        with torch.set_grad_enabled(not frozen):
            hidden = model.hidden(pixels)
        kept = target >= 0
        first = int(kept.any(0).nonzero()[0])
        y = model.language_model.model(model.embed(ids, hidden), first=first)
        answered = kept
        target, kept = target[:, first:], kept[:, first:]
        text = F.cross_entropy(model.logits(y[kept]), target[kept])
        tapped = model.language_model.model.tapped
        bound = teacher.binding(tapped[BOUND], owner)
        gathered = teacher.gathered(tapped[GATHERED], answered, (sizes >= 0).float(), sizes)
        loss = text + args.bind * bound + args.gather * gathered + (0 if frozen else args.teacher * teacher.loss(hidden, places, present, extents))
        step(optimizer, loss, modules, clock.rate())
        if number % 40 < 2:
            print(f"write {number} text {text.item():.3f} bound {bound.item():.3f} gathered {gathered.item():.3f} "
                  f"loss {loss.item():.3f} all right {teacher.right(hidden, present):.2f} "
                  f"steps/s {(number + 1) / (time.time() - began):.2f} share {clock.share():.2f}", flush=True)
            batches.shards.refresh()
        if time.time() - saved > args.save * 60:
            save()
            saved = time.time()
        number += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--state", required=True, help="file that keeps the run's state between stages")
    parser.add_argument("--see", type=float, default=15, help="minutes of the first stage")
    parser.add_argument("--see-rate", type=float, default=1e-3)
    parser.add_argument("--write", type=float, default=80, help="minutes of the second stage")
    parser.add_argument("--write-rate", type=float, default=8e-4)
    parser.add_argument("--frozen", type=float, default=0.2, help="share of the second stage in which the tower rests")
    parser.add_argument("--teacher", type=float, default=0.3)
    parser.add_argument("--bind", type=float, default=0.3)
    parser.add_argument("--gather", type=float, default=0.5)
    parser.add_argument("--save", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    r = random.Random(args.seed)
    shards = Shards(args.data, 144, 9)
    old = os.path.join(args.out, "tokenizer.json")
    tokenizer = Tokenizer.from_file(old) if os.path.exists(old) else make_tokenizer(shards)
    config = config_of(tokenizer.get_vocab_size())
    model, teacher = Llava(config), Teacher(192)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(shards.studies)} studies, {tokenizer.get_vocab_size()} tokens", flush=True)
    batches = Batches(shards, tokenizer, config, MEAN, STD)
    if args.resume:
        state = load_file(args.state)
        model.load_state_dict({k[6:]: v for k, v in state.items() if k.startswith("model.")})
        teacher.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith("teacher.")})

    def save():
        save_file({f"{name}.{k}": v for name, m in (("model", model), ("teacher", teacher)) for k, v in m.state_dict().items()}, args.state)
        export(model, config, tokenizer, args.out)

    if args.see > 0:
        see(args, model, teacher, batches, r)
        save()
    if args.write > 0:
        write(args, model, teacher, batches, r, save)
        save()


if __name__ == "__main__":
    main()
