"""Texts ↔ wire."""

from __future__ import annotations

from aigc.errors import InvalidInputError
from aigc.generate.postprocess_text import TextPostProcessing
from aigc.generate.text_request import TextRequest
from aigc.services.text_generation import TextPiece
from aigc.v1 import generation_pb2 as pb
from aigc.v1 import generation_service_pb2 as service_pb

__all__ = ["piece_to_proto", "text_processing_from_proto", "text_request_from_proto"]

_DEFAULT_TOKENS = 256
_REASONS = {"": pb.FINISH_REASON_UNSPECIFIED, "stop": pb.FINISH_REASON_STOP, "length": pb.FINISH_REASON_LENGTH}


def text_request_from_proto(request: service_pb.GenerateTextRequest) -> TextRequest:
    """What a call asks for; what was left out is the default.

    Raises:
        InvalidInputError: Names the wrong field.
    """
    if request.WhichOneof("input") is None:
        raise InvalidInputError("prompt and chat are both missing; give one of them", field="prompt")
    return TextRequest(
        prompt=request.prompt,
        turns=_turns(request.chat) if request.HasField("chat") else (),
        max_tokens=request.max_tokens or _DEFAULT_TOKENS,
        temperature=request.temperature if request.HasField("temperature") else 1.0,
        top_k=request.top_k,
        top_p=request.top_p if request.HasField("top_p") else 1.0,
        min_p=request.min_p,
        repetition_penalty=request.repetition_penalty if request.HasField("repetition_penalty") else 1.0,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stop=list(request.stop),
        n=request.n or 1,
        seed=request.seed,
        logprobs=request.logprobs,
        json_schema=request.json_schema if request.HasField("json_schema") else None,
        regex=request.regex if request.HasField("regex") else None,
    )


def _turns(chat: pb.Chat) -> list[str]:
    """The user's and the assistant's in turns, the user's first and last."""
    if len(chat.turns) % 2 == 0:
        raise InvalidInputError(
            f"chat.turns has {len(chat.turns)} entries; give an odd number, so that the last is the user's",
            field="chat.turns",
        )
    for i, turn in enumerate(chat.turns):
        expected = "assistant" if i % 2 else "user"
        if turn.role != expected:
            raise InvalidInputError(
                f"chat.turns[{i}].role is {turn.role!r}; user and assistant take turns, so give {expected!r}",
                field=f"chat.turns[{i}].role",
            )
    return [turn.text for turn in chat.turns]


def text_processing_from_proto(request: service_pb.GenerateTextRequest) -> TextPostProcessing | None:
    """What is to be done to each whole text; None when nothing was asked for."""
    if not request.HasField("processing"):
        return None
    asked = request.processing
    return TextPostProcessing(
        complete_sentence=asked.complete_sentence,
        remove_repetition=asked.remove_repetition,
        punctuation=asked.punctuation,
        whitespace=asked.whitespace,
    )


def piece_to_proto(piece: TextPiece) -> service_pb.GenerateTextResponse:
    """A piece of a text."""
    # Without log-probabilities the tokens are of no use to a caller.
    tokens = [pb.TokenLogprob(token_id=t, logprob=p) for t, p in zip(piece.token_ids, piece.logprobs, strict=False)]
    return service_pb.GenerateTextResponse(
        index=piece.index,
        text=piece.text,
        tokens=tokens,
        finish_reason=_REASONS[piece.finish_reason],
        model=piece.model,
        seed=piece.seed or 0,
        processed_text=piece.processed or "",
        processing=piece.processing,
        completion_tokens=piece.completion_tokens,
    )
