"""The services that a platform answers by itself: they need no generator process and no jobs."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from aigc.v1 import (
    admin_service_pb2,
    catalog_service_pb2,
    event_service_pb2,
    profile_service_pb2,
    recommendation_service_pb2,
)

__all__ = ["PLATFORM_SERVICES"]

PLATFORM_SERVICES: tuple[ServiceDescriptor, ...] = (
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
    profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"],
    recommendation_service_pb2.DESCRIPTOR.services_by_name["RecommendationService"],
)
"""In a file of their own: who only names them, as Serve's proxies do, need not import what answers them."""
