"""Profiles and preferences."""

from __future__ import annotations

from aigc import entities
from aigc.v1 import profile_pb2
from aigc_server.converters.times import from_ms

__all__ = ["MASK_PATHS", "preferences_from_proto", "preferences_to_proto", "profile_to_proto"]

MASK_PATHS = {"no_generated": "allow_generated", "no_personalisation": "allow_personalisation"}
"""Fields whose wire name differs from the domain's; on the wire false is the default, so the sense is reversed."""


def preferences_from_proto(proto: profile_pb2.Preferences) -> entities.Preferences:
    """Wire → domain."""
    return entities.Preferences(
        user_id=proto.user_id,
        interests=dict(proto.interests),
        dislikes=tuple(dict.fromkeys(proto.dislikes)),
        allow_generated=not proto.no_generated,
        allow_personalisation=not proto.no_personalisation,
    )


def preferences_to_proto(preferences: entities.Preferences) -> profile_pb2.Preferences:
    """Domain → wire."""
    return profile_pb2.Preferences(
        user_id=preferences.user_id,
        interests=dict(preferences.interests),
        dislikes=preferences.dislikes,
        no_generated=not preferences.allow_generated,
        no_personalisation=not preferences.allow_personalisation,
    )


def profile_to_proto(profile: entities.Profile) -> profile_pb2.Profile:
    """Domain → wire."""
    return profile_pb2.Profile(
        user_id=profile.user_id,
        affinities=[
            profile_pb2.CategoryAffinity(category=a.category, weight=a.weight, event_count=a.events)
            for a in profile.affinities
        ],
        embedding=profile.embedding,
        preferences=preferences_to_proto(profile.preferences),
        event_count=profile.event_count,
        first_event_time=from_ms(profile.first_event_ms) if profile.event_count else None,
        last_event_time=from_ms(profile.last_event_ms) if profile.event_count else None,
        categories=[_affinity(a) for a in profile.categories],
        tags=[_affinity(a) for a in profile.tags],
        authors=[_affinity(a) for a in profile.authors],
        tastes=[
            profile_pb2.Taste(share=t.share, names=t.names, item_ids=t.item_ids, event_count=t.events)
            for t in profile.tastes
        ],
        activity=_activity(profile.activity) if profile.activity is not None else None,
        topics=[
            profile_pb2.Topic(
                name=t.name, weight=t.weight, comment_count=t.comments, sentiment=t.sentiment, item_ids=t.item_ids
            )
            for t in profile.topics
        ],
        statements=[
            profile_pb2.Statement(
                kind=s.kind, english=s.english, chinese=s.chinese, event_count=s.events, item_ids=s.item_ids
            )
            for s in profile.statements
        ],
    )


def _affinity(affinity: entities.Affinity) -> profile_pb2.Affinity:
    return profile_pb2.Affinity(
        name=affinity.name,
        weight=affinity.weight,
        recent_weight=affinity.recent,
        event_count=affinity.events,
        first_event_time=from_ms(affinity.first_event_ms),
    )


def _activity(activity: entities.Activity) -> profile_pb2.Activity:
    return profile_pb2.Activity(
        events_per_week=activity.events_per_week,
        active_days=activity.active_days,
        session_count=activity.sessions,
        busiest_hour=activity.busiest_hour,
        novelty=activity.novelty,
        breadth=activity.breadth,
    )
