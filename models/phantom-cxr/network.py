"""The network of phantom-cxr: CLIP tower, two-layer projector, Llama decoder, with the tensor names of the HF form of llava.

Only what training needs. Inference in the product is built from config.json and the checkpoint by src/model.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

BOUND = 1  # after this decoder layer an image's rows shall know whose label stands before them
GATHERED = 2  # after this one the answer's rows shall know what is on both films
FINDINGS = 5  # order of findingNames in src/domain/finding.ts


class ClipAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["hidden_size"]
        self.heads = c["num_attention_heads"]
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = (p(x).view(b, n, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, w))


class ClipMlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1 = nn.Linear(c["hidden_size"], c["intermediate_size"])
        self.fc2 = nn.Linear(c["intermediate_size"], c["hidden_size"])

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))  # quick_gelu


class ClipLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(c["hidden_size"], eps=1e-5)
        self.self_attn = ClipAttention(c)
        self.layer_norm2 = nn.LayerNorm(c["hidden_size"], eps=1e-5)
        self.mlp = ClipMlp(c)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


def sine_positions(grid, width):
    """Two-dimensional sines as the start of the learned positions: a small tower learns places much sooner."""
    frequency = 1.0 / (40.0 ** (torch.arange(width // 4) / (width // 4)))
    place = torch.arange(grid).float()
    rows = torch.cat([torch.sin(place[:, None] * frequency), torch.cos(place[:, None] * frequency)], 1)
    both = torch.cat([rows[:, None].expand(grid, grid, -1), rows[None].expand(grid, grid, -1)], 2).reshape(grid * grid, -1)
    return 0.3 * torch.cat([torch.zeros(1, width), both])


class ClipEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, grid = c["hidden_size"], c["image_size"] // c["patch_size"]
        self.class_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.patch_embedding = nn.Conv2d(3, width, c["patch_size"], c["patch_size"], bias=False)
        self.position_embedding = nn.Embedding(grid * grid + 1, width)
        self.position_embedding.weight.data = sine_positions(grid, width)

    def forward(self, pixels):
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(pixels), 1, -1), patches], 1)
        return x + self.position_embedding.weight


class ClipEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(ClipLayer(c) for _ in range(c["num_hidden_layers"]))


class ClipModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = ClipEmbeddings(c)
        self.pre_layrnorm = nn.LayerNorm(c["hidden_size"], eps=1e-5)
        self.encoder = ClipEncoder(c)

    def forward(self, pixels):
        x = self.pre_layrnorm(self.embeddings(pixels))
        for layer in self.encoder.layers:
            x = layer(x)
        return x  # hidden_states[-1]: no post_layernorm on a selected hidden state


class Tower(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.vision_model = ClipModel(c)


class Projector(nn.Module):
    def __init__(self, vision, text):
        super().__init__()
        self.linear_1 = nn.Linear(vision["hidden_size"], text["hidden_size"])
        self.linear_2 = nn.Linear(text["hidden_size"], text["hidden_size"])

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(x)))


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, cosine, sine):
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


class LlamaAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv, self.dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        self.q_proj = nn.Linear(c["hidden_size"], self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(c["hidden_size"], self.kv * self.dim, bias=False)
        self.v_proj = nn.Linear(c["hidden_size"], self.kv * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, c["hidden_size"], bias=False)

    def forward(self, x, cosine, sine, past, first):
        b, n, _ = x.shape
        q = self.q_proj(x[:, first:]).view(b, n - first, self.heads, self.dim).transpose(1, 2)
        q = rotate(q, cosine[first:], sine[first:])
        k = rotate(self.k_proj(x).view(b, n, self.kv, self.dim).transpose(1, 2), cosine, sine)
        v = self.v_proj(x).view(b, n, self.kv, self.dim).transpose(1, 2)
        if past is not None:
            if past:
                k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
            past[:] = [k, v]
        group = self.heads // self.kv
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        seen = torch.ones(n, n, dtype=torch.bool).tril()[first:] if first else None
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=n > 1 and not first)
        return self.o_proj(y.transpose(1, 2).reshape(b, n - first, -1))


class LlamaMlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(c["intermediate_size"], c["hidden_size"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.self_attn = LlamaAttention(c)
        self.post_attention_layernorm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.mlp = LlamaMlp(c)

    def forward(self, x, cosine, sine, past, first):
        x = x[:, first:] + self.self_attn(self.input_layernorm(x), cosine, sine, past, first)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        self.layers = nn.ModuleList(LlamaLayer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.tapped = {}

    def forward(self, x, start=0, pasts=None, first=0):
        """Rows from `first` on: the last layer needs no others, and training only the answer's."""
        half = self.c["head_dim"] // 2
        frequency = 1.0 / (self.c["rope_theta"] ** (torch.arange(half) / half))
        angle = torch.arange(start, start + x.shape[1])[:, None] * frequency
        angle = torch.cat([angle, angle], 1)
        cosine, sine = angle.cos(), angle.sin()
        for index, layer in enumerate(self.layers):
            last = index == len(self.layers) - 1
            x = layer(x, cosine, sine, None if pasts is None else pasts[index], first if last else 0)
            if index in (BOUND, GATHERED):
                self.tapped[index] = x
        return self.norm(x)


class Language(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = LlamaModel(c)


class Llava(nn.Module):
    def __init__(self, config):
        super().__init__()
        vision, text = config["vision_config"], config["text_config"]
        self.image_token = config["image_token_index"]
        self.vision_tower = Tower(vision)
        self.multi_modal_projector = Projector(vision, text)
        self.language_model = Language(text)

    def hidden(self, pixels):
        return self.vision_tower.vision_model(pixels)

    def embed(self, ids, hidden):
        """ids [b, n] with one image token per patch; hidden [images in batch order, 1 + patches, width]."""
        x = self.language_model.model.embed_tokens(ids)
        rows = self.multi_modal_projector(hidden[:, 1:]).reshape(-1, x.shape[-1])
        return x.masked_scatter((ids == self.image_token)[..., None], rows)

    def logits(self, y):
        return F.linear(y, self.language_model.model.embed_tokens.weight)


class Teacher(nn.Module):
    """Heads that exist in training only: per patch where each finding is and how large, per film what is there, per row whose film it is."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.place = nn.Linear(width, FINDINGS)
        self.extent = nn.Linear(width, FINDINGS)
        self.present = nn.Linear(width, 2 * FINDINGS)
        self.bind = nn.Linear(width, 1)
        self.gather = nn.Linear(width, 8 * FINDINGS)

    def loss(self, hidden, places, present, extents):
        """places [n, 5, patches] 0..1; present [n, 10] 0/1; extents [n, 5, patches] size 0..1, -1 = nothing there."""
        x = self.norm(hidden)
        place = self.place(x[:, 1:]).transpose(1, 2)
        loss = (F.binary_cross_entropy_with_logits(place, places, reduction="none") * (1 + 4 * places)).sum((1, 2)).mean() / 12
        loss = loss + F.binary_cross_entropy_with_logits(self.present(x[:, 0]), present) * 3
        known = extents >= 0
        if known.any():
            loss = loss + F.smooth_l1_loss(self.extent(x[:, 1:]).transpose(1, 2)[known], extents[known], beta=0.1) * 4
        return loss

    def binding(self, rows, tags):
        """rows: decoder rows after layer BOUND; tags: 1 = of the current film, 2 = of the prior, 0 = text."""
        return F.binary_cross_entropy_with_logits(self.bind(rows[tags > 0]).squeeze(-1), (tags[tags > 0] == 2).float())

    def gathered(self, rows, answer, present, sizes):
        """rows after layer GATHERED; answer [b, n] marks the answer's; present, sizes [b, 20]: current film, then prior; size -1 = unknown."""
        said = self.gather(rows[answer]).chunk(2, -1)
        which = answer.nonzero()[:, 0]
        loss = F.binary_cross_entropy_with_logits(said[0], present[which])
        known = sizes[which] >= 0
        return loss + (F.smooth_l1_loss(said[1][known], sizes[which][known], beta=0.1) if known.any() else 0)

    def right(self, hidden, present):
        return ((self.present(self.norm(hidden[:, 0])) > 0) == (present > 0.5)).all(1).float().mean().item()
