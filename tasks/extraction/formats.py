"""Which formats are decoded, which are not, and which might open other files or sockets."""

from __future__ import annotations

ALLOWED_CONTAINERS = (
    "mov,matroska,avi,flv,mpegts,mpeg,asf,mxf,gxf,dv,ogg,nut,rm,wtv,"
    "wav,w64,aiff,au,caf,voc,nistsphere,ircam,sox,avr,pvf,paf,qcp,xwma,"
    "flac,mp3,aac,loas,ac3,eac3,dts,dtshd,truehd,mlp,spdif,amr,amrnb,amrwb,"
    "wv,ape,tta,tak,mpc,mpc8,dss"
)
"""Containers with their own media. Playlists and scripts (hls, dash, concat, sdp, ...) refer to
other files and are not allowed."""

ALLOWED_DECODERS = (
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,dca,mlp,truehd,"
    "mp1,mp1float,mp2,mp2float,mp3,mp3float,mp3adu,mp3adufloat,mp3on4,mp3on4float,"
    "opus,libopus,vorbis,libvorbis,speex,flac,alac,als,ape,tta,tak,wavpack,mpc7,mpc8,shorten,"
    "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,qcelp,evrc,nellymoser,qdm2,mace3,"
    "mace6,wmav1,wmav2,wmapro,wmalossless,wmavoice,dss_sp,ra_144,ra_288,cook,sipr,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_sbpro_2,adpcm_sbpro_3,adpcm_sbpro_4,"
    "g722,g723_1,g726,g729,"
    "pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_s8,pcm_u8,"
    "pcm_s16be,pcm_s16le,pcm_s16be_planar,pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s24le_planar,"
    "pcm_s32be,pcm_s32le,pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_u16be,pcm_u16le,pcm_u24be,"
    "pcm_u24le,pcm_u32be,pcm_u32le,s302m,dvaudio"
)
"""Audio decoders only: a damaged picture in a clip cannot reach a picture decoder."""

ALLOWED_VIDEO_DECODERS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mpeg1video,"
    "h263,h263p,flv,vp6,vp6f,mjpeg,theora,wmv1,wmv2,wmv3,vc1,msmpeg4v1,msmpeg4v2,msmpeg4,"
    "prores,dvvideo,ffv1"
)
"""Of pictures, for a model that sees, and only then: what phones, browsers and cameras write."""

_MAY_REACH_OUT = frozenset(
    {
        "applehttp", "avisynth", "bluray", "concat", "concatf", "dash", "dvdnav", "dvdvideo",
        "ffmetadata", "hls", "image2", "imf", "lavfi", "mpjpeg", "rtp", "rtsp", "sap", "sdp",
        "smil", "tee", "vapoursynth", "vobsub", "webm_dash_manifest",
    }
)  # fmt: skip
"""Names that libav gives to playlists, scripts and streams: what they hold lies elsewhere."""


def may_reach_out(container: str) -> bool:
    """Return whether a format, by one of libav's names, may open other files or sockets."""
    return not _MAY_REACH_OUT.isdisjoint(container.split(","))


DEEP_PROBE = {"probesize": str(200 * 1024**2), "analyzeduration": str(3_600_000_000)}
"""Options with which libav looks for sound that begins late: in the first 200 MB, and an hour."""
