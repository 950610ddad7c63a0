"""ProfileService."""

from __future__ import annotations

import asyncio
from typing import Any

from aigc.services.profiles import Profiles
from aigc.v1 import profile_service_pb2 as pb
from aigc.v1 import profile_service_pb2_grpc as pb_grpc
from aigc_server.converters.profile import (
    MASK_PATHS,
    preferences_from_proto,
    preferences_to_proto,
    profile_to_proto,
)

__all__ = ["ProfileServicer"]


class ProfileServicer(pb_grpc.ProfileServiceServicer):
    """Profiles over gRPC."""

    def __init__(self, profiles: Profiles) -> None:
        """Args: profiles: what is called."""
        self._profiles = profiles

    async def GetProfile(self, request: pb.GetProfileRequest, context: Any) -> pb.GetProfileResponse:
        """See the proto."""
        profile = await asyncio.to_thread(self._profiles.get, request.user_id)
        return pb.GetProfileResponse(profile=profile_to_proto(profile))

    async def UpdatePreferences(
        self, request: pb.UpdatePreferencesRequest, context: Any
    ) -> pb.UpdatePreferencesResponse:
        """See the proto."""
        mask = [MASK_PATHS.get(path, path) for path in request.update_mask.paths]
        declared = preferences_from_proto(request.preferences)
        preferences = await asyncio.to_thread(self._profiles.update_preferences, declared, mask)
        return pb.UpdatePreferencesResponse(preferences=preferences_to_proto(preferences))
