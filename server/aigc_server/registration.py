"""What answers the platform's own services: on the control server, and on each replica under Ray."""

from __future__ import annotations

from typing import Any

from aigc.services.platform import Platform
from aigc.v1 import (
    admin_service_pb2_grpc,
    catalog_service_pb2_grpc,
    event_service_pb2_grpc,
    profile_service_pb2_grpc,
    recommendation_service_pb2_grpc,
)
from aigc_server.servicers.admin import AdminServicer
from aigc_server.servicers.catalog import CatalogServicer
from aigc_server.servicers.event import EventServicer
from aigc_server.servicers.profile import ProfileServicer
from aigc_server.servicers.recommendation import RecommendationServicer

__all__ = ["register_platform"]


def register_platform(platform: Platform, server: Any) -> None:
    """Register what answers each of :data:`PLATFORM_SERVICES`.

    Args:
        platform: What is called.
        server: A gRPC server, or what collects handlers like one.
    """
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(platform.admin), server)
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(
        CatalogServicer(platform.catalog, platform.intake), server
    )
    event_service_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(platform.behaviour), server)
    profile_service_pb2_grpc.add_ProfileServiceServicer_to_server(ProfileServicer(platform.profiles), server)
    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server(
        RecommendationServicer(platform.recommender), server
    )
